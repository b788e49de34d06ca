"""Gradient smoothing."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, row_by_row
from palimpsest.errors import ConfigurationError
from palimpsest.registry import DEFENSES

# For wider windows, running sums are faster and more exact.
_DIRECT_WINDOW = 16


@DEFENSES.register("smooth")
class GradientSmoothing(Defense):
    """Blend each proof with its moving average over neighboring coordinates (IGF, Eq. 15).

    The window is centered; an even one extends one coordinate further back than forward. At both ends, the average is
    over the coordinates that exist, so that a constant vector does not change. A zero proof stays zero.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 15; alpha 0.1 in Table 2, the window is not given"

    window: PositiveInt = 5
    """Number of neighboring coordinates to average, at most d; 1 changes nothing."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Weight of the moving average in the result; 0 changes nothing."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs deterministically; see `Defense`.

        Raises:
            ConfigurationError: The window is wider than a proof.
            ProofError: See `Defense`.
        """
        check_shape(proofs)
        dimension = proofs.shape[1]
        if self.window > dimension:
            raise ConfigurationError(
                f"smooth has a window of {self.window}, but a proof has only {dimension} coordinates. "
                f"Choose a window from 1 to {dimension}."
            )

        def smooth_directly(proof: Tensor, out: Tensor) -> None:
            direct_means(proof, self.window, out=out)
            out.lerp_(proof, 1 - self.alpha)

        if self.window <= _DIRECT_WINDOW:
            return row_by_row(proofs, smooth_directly)
        sums = proofs.new_empty(dimension, dtype=torch.float64)
        average = torch.empty_like(sums)

        def smooth(proof: Tensor, out: Tensor) -> None:
            torch.cumsum(proof, 0, dtype=torch.float64, out=sums)
            window_means(sums, self.window, out=average)
            out.copy_(average.mul_(self.alpha).add_(proof, alpha=1 - self.alpha))

        return row_by_row(proofs, smooth)


def direct_means(vector: Tensor, window: int, *, out: Tensor) -> None:
    """Write moving averages over narrow windows, added up coordinate by coordinate.

    Args:
        vector: Values to average, `[d]`.
        window: Number of coordinates of a full window; see `window_means`.
        out: Buffer for the averages, `[d]`.
    """
    dimension, before = len(vector), window // 2
    after = window - 1 - before
    full = torch.mul(vector[: dimension - window + 1], 1 / window, out=out[before : dimension - after])
    for place in range(1, window):
        full.add_(vector[place : dimension - window + 1 + place], alpha=1 / window)
    # Windows at the start have after + 1, after + 2, ... coordinates; at the end, the same in reverse.
    for place in range(before):
        out[place] = vector[: place + after + 1].mean()
    for place in range(dimension - after, dimension):
        out[place] = vector[place - before :].mean()


def window_means(sums: Tensor, window: int, *, out: Tensor) -> None:
    """Write moving averages computed from running sums, in time independent of the window.

    Args:
        sums: Running sums of a vector, `[d]`, in float64 because their differences are comparatively small.
        window: Number of coordinates of a full window, 1 to d: `window // 2` before the center, the rest after it.
        out: Buffer for the averages, `[d]`; a window that is cut off at an end averages the coordinates that exist.
    """
    dimension, before = len(sums), window // 2
    after = window - 1 - before
    # Window i covers i - before to i + after: the running sum at its end minus that before its start.
    full = slice(before + 1, dimension - after)
    torch.sub(sums[window:], sums[: dimension - window], out=out[full])
    out[full] /= window
    # Windows at the start have after + 1, after + 2, ... coordinates; at the end, the same in reverse.
    out[: before + 1] = sums[after:window] / torch.arange(after + 1, window + 1, device=sums.device)
    tail = sums[-1] - sums[dimension - window : dimension - before - 1]
    out[dimension - after :] = tail / torch.arange(window - 1, before, -1, device=sums.device)
