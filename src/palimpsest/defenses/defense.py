"""What every defense shares: one proof at a time, in order, from a checked input to one new tensor."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import torch
from torch import Generator, Tensor

from palimpsest.errors import ProofError
from palimpsest.registry import Component

# Where a sum of squares in float32 still has all its digits.
_LEAST = 1e-25


class Defense(Component, ABC):
    """What a client does to its proofs before they leave.

    A defense treats each proof on its own, in row order, and draws its random numbers in that order from the
    generator: calling it on chunks of rows, with the same generator, gives the rows of one call on the whole.
    """

    randomized: ClassVar[bool] = False
    """Whether others who run it on the same proof get another result: it draws random numbers or has a secret."""

    @abstractmethod
    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs.

        Args:
            proofs: Gradient differences, `[n, d]`, float32 or float64; left as they are.
            generator: Where random numbers come from, on any device; a deterministic defense ignores it.

        Returns:
            Defended proofs in a new tensor, `[n, d]` unless the defense says otherwise.

        Raises:
            ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
        """

    def rekeyed(self, generator: Generator) -> Self:
        """The same defense as another party runs it: with that party's secrets in place of this one's.

        An attacker who trains through a defense takes this copy. A defense without secrets is its own copy.

        Args:
            generator: Where the other party's secrets are drawn from.
        """
        return self


def row_by_row(
    proofs: Tensor, write: Callable[[Tensor, Tensor], object], *, width: int | None = None
) -> Tensor:
    """Apply a function to each proof in turn, so that a row and its result stay in the cache meanwhile.

    Args:
        proofs: Gradient differences, `[n, d]`, float32 or float64.
        write: Takes a proof `[d]` and writes its defended form into the second argument, `[width]`.
        width: Coordinates of a defended proof; `d` by default.

    Returns:
        A new tensor, `[n, width]`.

    Raises:
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    check_shape(proofs)
    with torch.no_grad():
        defended = proofs.new_empty(len(proofs), proofs.shape[1] if width is None else width)
        for index, (proof, out) in enumerate(zip(proofs, defended, strict=True)):
            # Both extremes are finite exactly when all is, for NaN propagates; `isfinite` would be slower.
            if not all(math.isfinite(extreme) for extreme in torch.aminmax(proof)):
                raise ProofError(
                    f"Proof {index} holds a value that is not finite: compute it again or leave it out."
                )
            write(proof, out)
    return defended


def check_shape(proofs: Tensor) -> None:
    """Refuse what is not a floating-point matrix with at least one column.

    Raises:
        ProofError: The proofs have another shape or type.
    """
    if proofs.ndim != 2 or proofs.shape[1] == 0:
        raise ProofError(
            f"Proofs have the shape {tuple(proofs.shape)}, not [n, d]: give one row for each sample."
        )
    if proofs.dtype not in (torch.float32, torch.float64):
        raise ProofError(f"Proofs are {proofs.dtype}, not float32 or float64: convert them first.")


def length(vector: Tensor) -> float:
    """The Euclidean norm of a vector, `[d]`, to the last digits of float32.

    Squares of small gradients vanish in float32, and those of large ones are infinite: only then it is summed in
    float64, which takes ten times as long.
    """
    squares = float(vector.square().sum())
    if _LEAST < squares < math.inf:
        return math.sqrt(squares)
    return float(vector.double().square().sum().sqrt())


def fill_normal(buffer: Tensor, generator: Generator) -> Tensor:
    """Overwrite a buffer with independent N(0, 1) values, and return it.

    They are drawn where the generator lives, so that a CPU generator serves proofs on a GPU as well. To fill
    one buffer again and again takes half the time of new tensors, whose memory has to be found each time.

    Args:
        buffer: Any tensor; contiguous.
        generator: Where random numbers come from.
    """
    if buffer.device == generator.device:
        return buffer.normal_(generator=generator)
    return buffer.copy_(
        torch.randn(buffer.shape, dtype=buffer.dtype, device=generator.device, generator=generator)
    )
