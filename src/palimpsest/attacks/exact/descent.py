"""Descent from the last linear layer to the image, one block at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.chain import Chain
from palimpsest.attacks.exact.head import solve_head
from palimpsest.attacks.exact.routing import Known
from palimpsest.attacks.exact.solve_block import ATTEMPTS, Annealing, Prior, Solved, solve_block

# Equations of the proof for each unknown input, below which a block is rarely determined.
_EQUATIONS = 2

PriorOf = Callable[[int, Tensor, "Descent"], Prior]
"""Function from a block's number, the indices of images, and what is solved so far to the prior of their inputs."""


@dataclass(frozen=True)
class Descent:
    """Solutions of the proofs' equations, from the last layer down.

    Args:
        labels: Class labels, `[n]`.
        features: Inputs of each block, first one first, then of the last linear layer: `[n, m, ...]` float64 each. They
            are zero for images whose descent stopped before.
        gradients: Loss gradients at these inputs, negated for the unlearned model, in the same order.
        residuals: Relative error of each layer's equations, from the last linear layer to the first block,
            `[n, layers]`; infinite where the descent stopped before.
    """

    labels: Tensor
    features: list[Tensor]
    gradients: list[Tensor]
    residuals: Tensor

    def level(self, thresholds: Sequence[float] | Tensor) -> Tensor:
        """Return the first block whose inputs are certified, `[n]`; one more than the last if no layer is."""
        limits = torch.as_tensor(thresholds)
        certified = (self.residuals <= limits).long().cumprod(1).sum(1)
        return len(self.features) - certified

    def known(self, chain: Chain, level: int, images: Tensor, rows: Tensor) -> Known:
        """Return what is known about block `level`, whose outputs were solved.

        Args:
            chain: Both models.
            level: Number of the block.
            images: Indices of the images.
            rows: The block's part of all proofs.
        """
        block = chain.blocks[level]
        shape = (len(images), 2, *block.outputs)
        outputs, gradients = self.features[level + 1][images], self.gradients[level + 1][images]
        return Known(block, outputs.reshape(shape), gradients.reshape(shape), rows[images])

    def store(self, chain: Chain, level: int, images: Tensor, solved: Solved) -> None:
        """Keep a block's solution for some images, where its error is less than that of the one before."""
        column = len(chain.blocks) - level
        better = solved.residual < self.residuals[images, column]
        chosen = images[better]
        self.features[level][chosen] = solved.inputs[better]
        self.gradients[level][chosen] = solved.gradients[better]
        self.residuals[chosen, column] = solved.residual[better]


def descend(
    chain: Chain,
    proofs: Tensor,
    prior_of: PriorOf,
    thresholds: Sequence[float],
    attempts: tuple[Annealing, ...] = ATTEMPTS,
) -> Descent:
    """Solve the proofs layer by layer; an image's descent stops at the first layer that is not certified.

    Args:
        chain: Both models.
        proofs: Gradient differences, `[n, d]`.
        prior_of: Prior of each block's inputs.
        thresholds: Largest error that certifies a layer, from the last linear layer to the first block.
        attempts: Schedules of each block's solution.
    """
    head = solve_head(chain, proofs)
    rows = chain.rows(proofs)
    result = _empty(chain, head.labels, len(proofs))
    result.features[-1][:], result.gradients[-1][:] = head.features, head.gradients
    result.residuals[:, 0] = head.residual
    for level in range(len(chain.blocks) - 1, -1, -1):
        images = (result.level(thresholds) == level + 1).nonzero().flatten()
        if not len(images):
            break
        known = result.known(chain, level, images, rows[level])
        prior = prior_of(level, images, result)
        result.store(chain, level, images, solve_block(known, prior, attempts[: _affordable(known, prior)]))
    return result


def _affordable(known: Known, prior: Prior) -> int:
    """Return the number of attempts: one if the proof has too few equations of the block for more to help."""
    _, outputs, patch = known.block.weight.shape
    unknowns = prior.mean[0].numel()
    return len(ATTEMPTS) if outputs * patch >= _EQUATIONS * unknowns else 1


def _empty(chain: Chain, labels: Tensor, count: int) -> Descent:
    shapes = [(2 if level else 1, *block.inputs) for level, block in enumerate(chain.blocks)]
    if chain.limit:
        shapes[0] = (2, *shapes[0][1:])
    features = [torch.zeros(count, *shape, dtype=torch.float64) for shape in shapes]
    gradients = [torch.zeros(count, 2, *shape[1:], dtype=torch.float64) for shape in shapes]
    last = torch.zeros(count, 2, chain.weight.shape[2], dtype=torch.float64)
    residuals = torch.full((count, len(chain.blocks) + 1), torch.inf, dtype=torch.float64)
    return Descent(labels, [*features, last], [*gradients, last.clone()], residuals)
