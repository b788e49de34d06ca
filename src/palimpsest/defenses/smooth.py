"""Gradient smoothing."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, row_by_row
from palimpsest.errors import ConfigurationError
from palimpsest.registry import DEFENSES

# From here on running sums are faster, and more exact.
_FEW = 16


@DEFENSES.register("smooth")
class GradientSmoothing(Defense):
    """Blend each proof with its moving average over neighboring coordinates (IGF, Eq. 15).

    The window is centered, an even one reaching one coordinate further back than forward; at both ends the
    average is over those of its coordinates that exist, so that a constant vector stays as it is. A zero
    proof stays zero.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 15; alpha 0.1 in Table 2, the window is not given"

    window: PositiveInt = 5
    """How many neighboring coordinates are averaged; at most d, and 1 averages nothing."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.1
    """The moving average's share of the result: 0 leaves a proof as it is."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """See `Defense`; deterministic.

        Raises:
            ConfigurationError: The window is wider than a proof.
            ProofError: As for `Defense`.
        """
        check_shape(proofs)
        dimension = proofs.shape[1]
        if self.window > dimension:
            raise ConfigurationError(
                f"smooth: the window of {self.window} is wider than a proof of {dimension} coordinates: "
                f"choose a window from 1 to {dimension}."
            )

        def smooth_few(proof: Tensor, out: Tensor) -> None:
            few_means(proof, self.window, out=out)
            out.lerp_(proof, 1 - self.alpha)

        if self.window <= _FEW:
            return row_by_row(proofs, smooth_few)
        sums = proofs.new_empty(dimension, dtype=torch.float64)
        average = torch.empty_like(sums)

        def smooth(proof: Tensor, out: Tensor) -> None:
            torch.cumsum(proof, 0, dtype=torch.float64, out=sums)
            window_means(sums, self.window, out=average)
            out.copy_(average.mul_(self.alpha).add_(proof, alpha=1 - self.alpha))

        return row_by_row(proofs, smooth)


def few_means(vector: Tensor, window: int, *, out: Tensor) -> None:
    """Moving averages over windows of a few coordinates, added up one by one.

    Args:
        vector: `[d]`.
        window: Coordinates of a full window, as for `window_means`.
        out: Where the averages are written, `[d]`.
    """
    dimension, before = len(vector), window // 2
    after = window - 1 - before
    full = torch.mul(vector[: dimension - window + 1], 1 / window, out=out[before : dimension - after])
    for place in range(1, window):
        full.add_(vector[place : dimension - window + 1 + place], alpha=1 / window)
    # The ends hold after + 1, after + 2, ... coordinates at the start, and the same, backwards, at the end.
    for place in range(before):
        out[place] = vector[: place + after + 1].mean()
    for place in range(dimension - after, dimension):
        out[place] = vector[place - before :].mean()


def window_means(sums: Tensor, window: int, *, out: Tensor) -> None:
    """Moving averages from running sums, in time that does not grow with the window.

    Args:
        sums: A vector's running sums, `[d]`; in float64, for their differences are small beside them.
        window: Coordinates of a full window, 1 to d: `window // 2` before the center, the rest after it.
        out: Where the averages are written, `[d]`; a window that the ends cut off averages what it holds.
    """
    dimension, before = len(sums), window // 2
    after = window - 1 - before
    # Window i covers i - before to i + after: the running sum to its end, less that before its start.
    full = slice(before + 1, dimension - after)
    torch.sub(sums[window:], sums[: dimension - window], out=out[full])
    out[full] /= window
    # At the start the windows hold after + 1, after + 2, ... coordinates; at the end the same, backwards.
    out[: before + 1] = sums[after:window] / torch.arange(after + 1, window + 1, device=sums.device)
    remaining = sums[-1] - sums[dimension - window : dimension - before - 1]
    out[dimension - after :] = remaining / torch.arange(window - 1, before, -1, device=sums.device)
