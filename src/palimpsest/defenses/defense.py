"""Base class of the defenses, and the functions that they share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import torch
from torch import Generator, Tensor

from palimpsest.defenses.release import FixedFunction, Release, UnboundedRelease
from palimpsest.errors import ProofError
from palimpsest.registry import Component

# Above this, a sum of squares in float32 still has full precision.
_LEAST = 1e-25


class Defense(Component, ABC):
    """Base class of the defenses, which change a client's proofs before they leave.

    A defense processes each proof separately, in row order, and draws its random numbers from the generator in that
    order. Calling it on chunks of rows with the same generator therefore gives the same rows as one call on all of
    them.
    """

    randomized: ClassVar[bool] = False
    """True if the result depends on random numbers or a secret, so that other parties get a different one."""

    @abstractmethod
    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs.

        Args:
            proofs: Gradient differences, `[n, d]`, float32 or float64; not modified.
            generator: Source of random numbers, on any device; a deterministic defense ignores it.

        Returns:
            Defended proofs in a new tensor, `[n, d]` unless the defense documents another shape.

        Raises:
            ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
        """

    def published_noise(self) -> tuple[float, float | None] | None:
        """Return what the federation publishes about the noise, for an attacker who knows the settings.

        Returns:
            The standard deviation of the Gaussian noise in each coordinate, and the largest norm of a proof before the
            noise (None without clipping). None if the defense is anything else.
        """
        return None

    def rekeyed(self, generator: Generator) -> Self:
        """Return the defense as another party runs it, with that party's secrets in place of these.

        An attacker that trains through a defense uses this copy. A defense without secrets returns itself.

        Args:
            generator: Source of the other party's secrets.
        """
        return self

    def release(self) -> Release:
        """Describe how the defended proof depends on chance, for bounds on what any attack can do.

        Override it in a defense whose noise is known: without a description there is no bound.

        Returns:
            A fixed function if the defense is not randomized; otherwise a release without a bound.
        """
        if not self.randomized:
            return FixedFunction()
        return UnboundedRelease("the defense does not describe its randomness (see `Defense.release`)")


def row_by_row(
    proofs: Tensor, write: Callable[[Tensor, Tensor], object], *, width: int | None = None
) -> Tensor:
    """Apply a function to one proof at a time, so that the row and its result stay in the cache.

    Args:
        proofs: Gradient differences, `[n, d]`, float32 or float64.
        write: Function that takes a proof, `[d]`, and writes its defended form to the second argument, `[width]`.
        width: Number of coordinates of a defended proof. If omitted, `d`.

    Returns:
        Defended proofs in a new tensor, `[n, width]`.

    Raises:
        ProofError: The proofs are not a finite `[n, d]` floating-point tensor.
    """
    check_shape(proofs)
    with torch.no_grad():
        defended = proofs.new_empty(len(proofs), proofs.shape[1] if width is None else width)
        for index, (proof, out) in enumerate(zip(proofs, defended, strict=True)):
            # Both extremes are finite exactly if all values are, because NaN propagates; `isfinite` is slower.
            if not all(math.isfinite(extreme) for extreme in torch.aminmax(proof)):
                raise ProofError(
                    f"Proof {index} has a value that is not finite. Compute it again or leave it out."
                )
            write(proof, out)
    return defended


def check_shape(proofs: Tensor) -> None:
    """Check that proofs are a floating-point matrix with at least one column.

    Args:
        proofs: Tensor to check.

    Raises:
        ProofError: The tensor has another shape or dtype.
    """
    if proofs.ndim != 2 or proofs.shape[1] == 0:
        raise ProofError(
            f"Proofs have shape {tuple(proofs.shape)}, not [n, d] with d at least 1. Pass one row for each sample."
        )
    if proofs.dtype not in (torch.float32, torch.float64):
        raise ProofError(f"Proofs have dtype {proofs.dtype}, not float32 or float64. Convert them first.")


def length(vector: Tensor) -> float:
    """Return the Euclidean norm of a vector, `[d]`, to float32 precision.

    In float32, the squares of very small gradients underflow and those of large ones overflow. Only then are the
    squares summed in float64, which takes ten times as long.
    """
    squares = float(vector.square().sum())
    if _LEAST < squares < math.inf:
        return math.sqrt(squares)
    return float(vector.double().square().sum().sqrt())


def fill_normal(buffer: Tensor, generator: Generator) -> Tensor:
    """Overwrite a buffer with independent N(0, 1) values, and return it.

    The values are drawn on the generator's device, so that a CPU generator also works for proofs on a GPU. Filling the
    same buffer repeatedly takes half the time of creating new tensors, whose memory must be allocated each time.

    Args:
        buffer: Contiguous tensor of any shape.
        generator: Source of random numbers.

    Returns:
        The buffer.
    """
    if buffer.device == generator.device:
        return buffer.normal_(generator=generator)
    return buffer.copy_(
        torch.randn(buffer.shape, dtype=buffer.dtype, device=generator.device, generator=generator)
    )
