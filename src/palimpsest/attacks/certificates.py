"""Certificates of reconstructions: how far an attack has solved each proof's equations."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.storage import Record

HALF_LEVEL = 0.5 / 255
"""Largest error of a pixel of an exact image: half a level of 8 bits."""


@dataclass(frozen=True)
class Certificates(Record):
    """Errors of each proof's equations, layer by layer, and the thresholds below which they certify the solution.

    Args:
        layers: Names of the layers, from the last linear layer to the first one.
        residuals: Relative error of each layer's part of the proofs, `[n, layers]`; infinite where the attack has not
            come.
        thresholds: Largest error that certifies a layer's inputs, `[layers]`. They are calibrated on the proofs of
            auxiliary images; 0 certifies nothing.
        proof_residuals: Relative error of the whole proof, `[n]`; infinite if not all layers can be solved.
        proof_threshold: Largest error that certifies an image as exact.
        limit: The reason why the layers before the last of `layers` can't be solved; empty if there is none.
    """

    layers: tuple[str, ...]
    residuals: Tensor
    thresholds: Tensor
    proof_residuals: Tensor
    proof_threshold: float
    limit: str = ""

    @property
    def depth(self) -> Tensor:
        """Number of layers whose inputs are certified, counted from the last layer, `[n]` int64."""
        return (self.residuals <= self.thresholds).long().cumprod(1).sum(1)

    @property
    def exact(self) -> Tensor:
        """Whether each image is certified as exact, `[n]` bool: no pixel is wrong by half a level of 8 bits or more."""
        return self.proof_residuals <= self.proof_threshold

    def statuses(self) -> list[str]:
        """Return a text for each image: exact, up to a layer, or not certified."""
        named = ["not certified", *(f"certified up to layer {name}" for name in self.layers)]
        return [
            "certified exact" if exact else named[depth]
            for exact, depth in zip(self.exact.tolist(), self.depth.tolist(), strict=True)
        ]


def calibrate_threshold(residuals: Tensor, right: Tensor, *, highest: float) -> float:
    """Choose the largest error that certifies a solution, from solutions whose truth is known.

    The threshold lies between the errors of the correct solutions and the smallest error of a wrong one: at their
    geometric mean, or at ten times the largest error of a correct solution if that is less.

    Args:
        residuals: Relative errors, `[n]`.
        right: Whether each solution is correct, `[n]` bool.
        highest: Upper bound of the threshold.

    Returns:
        The threshold; 0 if no correct solution has a smaller error than all wrong ones.
    """
    wrong = residuals[~right & residuals.isfinite()]
    ceiling = float(wrong.min()) if len(wrong) else torch.inf
    trusted = residuals[right & (residuals < ceiling)]
    if not len(trusted):
        return 0.0
    largest = float(trusted.max())
    # The proofs' rounding to float32 limits the errors of exact solutions from below.
    generous = 10 * max(largest, torch.finfo(torch.float32).eps)
    return min(generous, (largest * ceiling) ** 0.5, math.nextafter(ceiling, 0.0), highest)
