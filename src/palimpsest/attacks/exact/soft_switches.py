"""Blocks around an uncertain image: mean switches, and the noise that their uncertainty adds to each equation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.block import Block
from palimpsest.attacks.exact.routing import Known, expect_switches, max_evidence

_SWEEPS, _TEMPER = 4, 0.5
_TINY = 1e-12


@dataclass(frozen=True)
class Spread:
    """The blocks' state over an ensemble of plausible images.

    Args:
        inputs: Mean input of each block, `[n, m, *inputs]`.
        switches: Mean derivative of each lower block's outputs, `[n, 2, *outputs, window]`.
        before: Pre-activations of the last block at its mean input, `[n, 2, *outputs, window]`.
        variance: Variance of these pre-activations.
        nonlinear: Part of this variance that no linear function of the image explains.
    """

    inputs: list[Tensor]
    switches: list[Tensor]
    before: Tensor
    variance: Tensor
    nonlinear: Tensor


def spread_over(blocks: Sequence[Block], inputs: Tensor, errors: Tensor) -> Spread:
    """Run an ensemble of images through the blocks.

    Args:
        blocks: The blocks, first one first.
        inputs: The estimated images, as inputs of the first block, `[n, 1, *inputs]`.
        errors: Plausible errors of each, `[n, members, 1, *inputs]`, of mean zero.
    """
    count, members = errors.shape[:2]
    states = (inputs.unsqueeze(1) + errors).flatten(0, 1)
    linear = errors.flatten(0, 1)
    means, switches = [inputs], []

    def mean(values: Tensor) -> Tensor:
        return values.unflatten(0, (count, members)).mean(1)

    for block in blocks[:-1]:
        before = block.before_activation(states)
        switches.append(mean(block.switches(before)))
        linear = linearized(block, switches[-1].repeat_interleave(members, 0), block.patches(linear))
        states = _feed(block.pool(block.activate(before)), blocks[len(switches)])
        linear = _feed(linear, blocks[len(switches)])
        means.append(mean(states))
    last = blocks[-1]
    weight = last.weight.to(inputs.dtype)
    deviations = states - means[-1].repeat_interleave(members, 0)
    variance, nonlinear = (
        mean(last.windows(weight @ last.patches(part)).square()) for part in (deviations, deviations - linear)
    )
    return Spread(means, switches, last.before_activation(means[-1]), _shrunk(variance), _shrunk(nonlinear))


def linearized(block: Block, switches: Tensor, patches: Tensor) -> Tensor:
    """Compute the change of a block's outputs, `[n, 2, *outputs]`, due to a change of its patches."""
    weight = block.weight.to(patches.dtype)
    return (switches * block.windows(weight @ patches)).sum(-1)


def _feed(outputs: Tensor, block: Block) -> Tensor:
    """Bring outputs into the shape of the next block's inputs."""
    return outputs.reshape(*outputs.shape[:2], *block.inputs)


def _shrunk(variance: Tensor) -> Tensor:
    """Average each variance with the mean over the block, because an ensemble is small."""
    return 0.5 * (variance + variance.flatten(2).mean(2)[(..., *[None] * (variance.dim() - 2))]) + _TINY


def infer_switches(known: Known, spread: Spread, patches: Tensor, trust: Tensor) -> Tensor:
    """Infer the last block's switches from its outputs and its part of the proof.

    Args:
        known: The block, its outputs, and its equations.
        spread: State of the blocks.
        patches: Patches of the block's mean input, `[n, m, patch, positions]`.
        trust: Weight of the proof's equations in [0, 1], `[n]`.
    """
    deviation = spread.variance.sqrt()
    if known.block.pooling == "average" or spread.before.shape[-1] == 1:
        return expect_switches(known, spread.before, deviation)
    active = known.active.unsqueeze(-1)
    outputs = max_evidence(known.target, spread.before, deviation)
    switches = torch.softmax(outputs, -1) * active
    windows = known.block.windows(patches)
    gram = torch.einsum("nmqhwk,nmqhwl->nmhwkl", windows, windows).expand(-1, 2, -1, -1, -1, -1)
    scale = (known.scale * known.block.gradient_scale.to(patches.dtype).view(1, 2, -1, 1, 1)).unsqueeze(-1)
    size = known.rows.square().mean((1, 2)).view(-1, 1)
    for _ in range(_SWEEPS):
        left = known.rows - known.block.weight_gradient(known.loss_gradients(switches), patches)
        precision = _TEMPER * trust.view(-1, 1) / (left.square().mean(2) + 1e-10 * size)
        fit = known.block.windows(left.unsqueeze(1) @ patches)
        overlap = torch.einsum("nmhwkl,nmohwl->nmohwk", gram, switches)
        overlap = overlap - 0.5 * gram.diagonal(dim1=-2, dim2=-1).unsqueeze(2)
        evidence = precision.view(len(patches), 1, -1, 1, 1, 1) * (scale * fit + scale.square() * overlap)
        switches = 0.5 * switches + 0.5 * torch.softmax(outputs + evidence, -1) * active
    return switches


def below(values: Tensor, top: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Approximate the log probability that values with errors lie below a bound by a parabola.

    Args:
        values: Estimated values.
        top: The bound, broadcastable to `values`.
        deviation: Standard deviation of the errors.

    Returns:
        The parabola's weight and its maximum; the weight of values far below the bound is almost zero.
    """
    error = ((top - values) / deviation).clamp(-30, 30)
    ratio = torch.exp(-0.5 * error.square() - 0.9189385332046727 - torch.special.log_ndtr(error))
    curvature = (ratio * (ratio + error)).clamp(1e-9, 1)
    return curvature / deviation.square(), values - ratio * deviation / curvature
