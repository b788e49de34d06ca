"""Priors of each block's inputs: what the learned start's images say about them, and how wrong they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.block import BOUNDS
from palimpsest.attacks.exact.chain import Chain
from palimpsest.attacks.exact.read_chain import Trunk
from palimpsest.attacks.exact.solve_block import Prior
from palimpsest.storage import Record

_LEAST_VARIANCE, _LEAST_NOISE = 1e-6, 1e-3


@dataclass(frozen=True)
class BlockPrior(Record):
    """Estimates of a block's inputs, and their errors on images kept aside; m is 1 for the image itself.

    Args:
        level: Number of the block; 0 is the first one.
        mean: Estimated inputs minus those of the estimated image, `[m, *inputs]`; if layers before the first block are
            unknown, the estimated inputs.
        variance: Variance of each channel's errors, `[m, channels]`.
        noise: Standard deviation of the errors of the block's pre-activations.
    """

    level: int
    mean: Tensor
    variance: Tensor
    noise: float

    def around(self, chain: Chain, images: Tensor) -> Prior:
        """Build the prior of a block's inputs around images `[n, channels, height, width]` in [0, 1]."""
        low, high = bounds(chain, self.level)
        mean = inputs_of(chain, self.level, images) + self.mean
        return Prior(mean.clamp(low, high), self.variance, self.noise, low, high)


def fit_prior(trunk: Trunk, level: int, images: Tensor, estimates: Tensor) -> BlockPrior:
    """Measure the errors of a block's inputs on images that the estimating network was not trained on.

    Args:
        trunk: Both models.
        level: Number of the block.
        images: Auxiliary images, `[m, channels, height, width]` in [0, 1].
        estimates: The network's images of them.
    """
    chain = trunk.chain
    block = chain.blocks[level]
    found = trunk.levels(images)[level].double()
    truth = found.reshape(*found.shape[:2], *block.inputs)
    estimated = inputs_of(chain, level, estimates)
    errors = truth - estimated
    # All positions of a channel share a mean error, unless there is no estimate at all.
    mean = errors.mean(0) if chain.limit else errors.mean((0, 3, 4))[..., None, None].expand(errors.shape[1:])
    errors = errors - mean
    noise = (block.before_activation(truth) - block.before_activation(estimated + mean)).std()
    variance = errors.square().mean((0, 3, 4)) + _LEAST_VARIANCE
    return BlockPrior(level, mean.contiguous(), variance, max(float(noise), _LEAST_NOISE))


def inputs_of(chain: Chain, level: int, images: Tensor) -> Tensor:
    """Compute the inputs of a block, `[n, m, *inputs]` float64, of images in [0, 1]; zero if the chain is limited."""
    block = chain.blocks[level]
    if chain.limit:
        return torch.zeros(len(images), 2, *block.inputs, dtype=torch.float64)
    inputs = chain.levels(chain.normalize(images))[level]
    return inputs.reshape(*inputs.shape[:2], *block.inputs)


def bounds(chain: Chain, level: int) -> tuple[float, float]:
    """Return the range of a block's inputs."""
    if level == 0 and not chain.limit:
        return float((-chain.mean / chain.std).min()), float(((1 - chain.mean) / chain.std).max())
    return BOUNDS.get(chain.activation(level), (-torch.inf, torch.inf))
