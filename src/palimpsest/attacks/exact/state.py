"""Stored state of igf-exact: both models, learned starts, priors, and the thresholds of the certificates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.chain import Chain
from palimpsest.attacks.exact.priors import BlockPrior
from palimpsest.attacks.exact.start import Start
from palimpsest.storage import Record

# Shares of the diagonal and of white noise in the covariance of the errors, which has fewer samples than pixels.
_DIAGONAL, _WHITE = 0.07, 5e-5
# The inverse covariance of more pixels does not fit into memory.
MOST_PIXELS = 6144


@dataclass(frozen=True)
class StartErrors(Record):
    """Errors of a learned start's images, measured on auxiliary images.

    Args:
        samples: Errors, `[samples, c, h, w]` float16.
        misfit: Mean of the logarithm of the squared misfit of the features from which the start began.
        error: Mean of the logarithm of an image's mean squared error.
        slope: Slope of the regression from the first to the second logarithm.
    """

    samples: Tensor
    misfit: float
    error: float
    slope: float

    def scale(self, misfits: Tensor) -> Tensor:
        """Predict the size of the errors of images from their features' squared misfit, `[n]`, relative to the mean."""
        logs = misfits.clamp_min(1e-30).log() - self.misfit
        return (0.5 * self.slope * logs).exp().clamp(0.25, 4.0)

    def precision(self) -> Tensor:
        """Compute the inverse covariance of the errors, `[pixels, pixels]` float32."""
        flat = self.samples.double().flatten(1)
        covariance = flat.T @ flat / len(flat)
        variances = covariance.diagonal().clone()
        covariance = (1 - _DIAGONAL) * covariance
        covariance.diagonal().add_(_DIAGONAL * variances + _WHITE)
        return torch.linalg.inv(covariance).float()


@dataclass(frozen=True)
class ExactState(Record):
    """Everything that igf-exact needs to solve proofs.

    Args:
        chain: Both models.
        starts: Networks from the inputs of the last linear layer, and of the blocks before it, to images.
        errors: Errors of each start; empty if images can't be refined.
        priors: Priors of the blocks' inputs, first block first.
        thresholds: Largest error that certifies each layer, from the last linear layer to the first block.
        proof_threshold: Largest error of the whole proof that certifies an image as exact.
        seed: Seed of the ensembles of plausible images.
        history: Losses over the epochs, by name.
        facts: Named numbers for the report.
    """

    chain: Chain
    starts: tuple[Start, ...]
    errors: tuple[StartErrors, ...]
    priors: tuple[BlockPrior, ...]
    thresholds: tuple[float, ...]
    proof_threshold: float
    seed: int
    history: dict[str, list[float]]
    facts: dict[str, float]

    def start_at(self, level: int) -> int:
        """Return the number of the start that uses most of what is known if the inputs of block `level` are."""
        usable = [index for index, start in enumerate(self.starts) if start.features.level >= level]
        return min(usable, key=lambda index: self.starts[index].features.level)
