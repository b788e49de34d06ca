"""Inputs of a block by least squares: the proof's equations, the known outputs, and a prior (M step)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.attacks.exact.block import Block
from palimpsest.attacks.exact.routing import Known

# Inputs with more positions than this are preconditioned by a diagonal alone.
_DENSE = 2048
_TINY = 1e-300
# Relative residual of a solved system, and the number of steps between two checks of it.
_TOLERANCE, _CHECKED = 1e-9, 5


@dataclass(frozen=True)
class Weights:
    """Inverse variances of the equations.

    Args:
        rows: Of the proof's equations, `[n, outputs]`.
        outputs: Of the equations of the known outputs, `[n]`.
        prior: Of the prior, broadcastable to the inputs.
    """

    rows: Tensor
    outputs: Tensor
    prior: Tensor


def solve_inputs(
    known: Known,
    start: Tensor,
    prior: Tensor,
    switches: Tensor,
    before: Tensor,
    weights: Weights,
    *,
    steps: int,
    inequalities: bool = True,
) -> Tensor:
    """Solve for a block's inputs, given its switches, by preconditioned conjugate gradients.

    Args:
        known: The block, its outputs and gradients, and its equations.
        start: Inputs from which the search starts, `[n, m, *inputs]`.
        prior: Mean of the prior, `[n, m, *inputs]`.
        switches: Probabilities by window, `[n, 2, *outputs, window]`.
        before: Pre-activations of the start, in the shape of the switches.
        weights: Inverse variances.
        steps: Steps of conjugate gradients.
        inequalities: Whether positions above the window's maximum are pulled down to it.

    Returns:
        The inputs, `[n, m, *inputs]`.
    """
    block = known.block
    gradients = known.loss_gradients(switches)
    outputs = _OutputRows.of(known, switches, before, weights.outputs, inequalities=inequalities)
    row_weights = weights.rows.unsqueeze(2)
    weight, bias = block.weight.to(start.dtype), block.bias.to(start.dtype).unsqueeze(2)

    def pull_back(rows: Tensor, positions: Tensor) -> Tensor:
        """Add up what the equations say about the inputs."""
        patches = block.weight_gradient_adjoint(gradients, row_weights * rows) + weight.mT @ positions
        return block.sum_patches(patches if start.shape[1] == 2 else patches.sum(1, keepdim=True))

    def normal(inputs: Tensor) -> Tensor:
        patches = block.patches(inputs)
        rows = block.weight_gradient(gradients, patches)
        return pull_back(rows, outputs.normal(weight @ patches)) + weights.prior * inputs

    # The bias is not part of the unknowns, so it moves to the right-hand side.
    constant = outputs.right_hand_side() - outputs.normal(bias.expand(-1, -1, math.prod(block.size)))
    right = pull_back(known.rows, constant) + weights.prior * prior
    precondition = _preconditioner(block, gradients, outputs.diagonal, weights, start)
    return conjugate_gradients(normal, right, start, steps=steps, precondition=precondition)


@dataclass(frozen=True)
class _OutputRows:
    """Equations of the known outputs: each switched position, or with average pooling the sum of each window.

    Args:
        block: The block.
        weights: Inverse variances by window, `[n, 2, *outputs, window]`; of the positions, or of the window's sum.
        switches: Coefficients of the positions in the window's sum; None if each position has an equation of its own.
        targets: Values of the positions, or of the sums in all entries of a window.
    """

    block: Block
    weights: Tensor
    switches: Tensor | None
    targets: Tensor

    @classmethod
    def of(
        cls, known: Known, switches: Tensor, before: Tensor, weight: Tensor, *, inequalities: bool
    ) -> "_OutputRows":
        """Set up the equations; see `solve_inputs`."""
        target = known.target.unsqueeze(-1).expand_as(switches)
        scale = weight.view(-1, 1, 1, 1, 1, 1)
        above = (before > target).to(switches.dtype) if inequalities else torch.zeros_like(before)
        if known.block.pooling == "max":
            return cls(known.block, torch.maximum(switches, above) * scale, None, target)
        count = switches.shape[-1]
        # In a window without output all positions are below zero, each with an inequality of its own.
        silent = ~known.active.unsqueeze(-1)
        undecided = (switches * (1 - switches) * before.square()).sum(-1, keepdim=True)
        sums = torch.where(silent, above * scale, 1 / (count / scale + undecided))
        return cls(known.block, sums, torch.where(silent, torch.nan, switches), target * count)

    @property
    def diagonal(self) -> Tensor:
        """Sum of squared coefficients of each position, in the shape of the weights."""
        if self.switches is None:
            return self.weights
        return self.weights * torch.where(self.switches.isnan(), 1.0, self.switches.square())

    def normal(self, positions: Tensor) -> Tensor:
        """Apply the equations and their adjoint to values `[.., 2, outputs, positions]`."""
        values = self.block.windows(positions.expand(len(self.weights), *positions.shape[-3:]))
        return self.block.positions(self._adjoint(self._apply(values)))

    def right_hand_side(self) -> Tensor:
        """Apply the adjoint to the targets."""
        return self.block.positions(self._adjoint(self.targets))

    def _apply(self, values: Tensor) -> Tensor:
        if self.switches is None:
            return values
        total = (values * self.switches.nan_to_num()).sum(-1, keepdim=True)
        return torch.where(self.switches.isnan(), values, total)

    def _adjoint(self, values: Tensor) -> Tensor:
        weighted = self.weights * values
        return weighted if self.switches is None else weighted * self.switches.nan_to_num(1.0)


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor],
    right: Tensor,
    start: Tensor,
    *,
    steps: int,
    precondition: Callable[[Tensor], Tensor],
) -> Tensor:
    """Solve a batch of symmetric positive definite systems.

    Args:
        apply: Applies the matrices to vectors `[n, ...]`.
        right: Right-hand sides, `[n, ...]`.
        start: First guess, `[n, ...]`.
        steps: Largest number of steps; fewer are taken if all systems are solved to `_TOLERANCE`.
        precondition: Applies approximate inverses.
    """
    axes, tiny = tuple(range(1, right.dim())), torch.finfo(right.dtype).tiny

    def dot(first: Tensor, second: Tensor) -> Tensor:
        return (first * second).sum(axes, keepdim=True)

    solution = start
    residual = right - apply(start)
    conditioned = precondition(residual)
    direction, product = conditioned, dot(residual, conditioned)
    enough = _TOLERANCE**2 * dot(right, right)
    for step in range(steps):
        if step % _CHECKED == 0 and bool((dot(residual, residual) <= enough).all()):
            break
        image = apply(direction)
        length = product / dot(direction, image).clamp_min(tiny)
        solution = solution + length * direction
        residual = residual - length * image
        conditioned = precondition(residual)
        next_product = dot(residual, conditioned)
        direction = conditioned + next_product / product.clamp_min(tiny) * direction
        product = next_product
    return solution


def _preconditioner(
    block: Block, gradients: Tensor, output_weights: Tensor, weights: Weights, start: Tensor
) -> Callable[[Tensor], Tensor]:
    """Build approximate inverses: the proof's equations exactly, which are equal for all channels, and a diagonal."""
    count, models, channels, height, width = start.shape
    positions = height * width
    # Its condition is squared, so the factor is computed in float64 even if the equations are in float32.
    weight, gradients = block.weight, gradients.double()
    squares = weight.square().unflatten(2, (channels, -1)).mean(2)
    diagonal = F.fold(
        (squares.mT @ block.positions(output_weights.double())).flatten(0, 1),
        (height, width),
        block.kernel,
        padding=block.padding,
        stride=block.stride,
    ).view(count, 2, positions)
    if models == 1:
        diagonal = diagonal.sum(1, keepdim=True)
    prior = weights.prior.expand_as(start).mean(2).flatten(2)
    diagonal = (diagonal + prior).flatten(1)
    if models * positions > _DENSE:
        diagonal = diagonal.view(count, models, 1, height, width).to(start.dtype)
        return lambda residual: residual / diagonal
    design = _design(block, gradients, models, height, width)
    design = design * weights.rows.double().sqrt().view(count, -1, 1, 1)
    flat = design.flatten(1, 2)
    factor = torch.linalg.cholesky_ex(flat.mT @ flat + torch.diag_embed(diagonal))[0].to(start.dtype)

    def apply(residual: Tensor) -> Tensor:
        columns = residual.permute(0, 1, 3, 4, 2).reshape(count, models * positions, channels)
        solved = torch.cholesky_solve(columns, factor)
        return solved.view(count, models, height, width, channels).permute(0, 1, 4, 2, 3)

    return apply


def _design(block: Block, gradients: Tensor, models: int, height: int, width: int) -> Tensor:
    """Compute the proof's equations of one input channel, `[n, outputs, kernel, m x height x width]`."""
    numbers = torch.arange(1, height * width + 1, dtype=torch.float64).view(1, 1, height, width)
    places = F.unfold(numbers, block.kernel, padding=block.padding, stride=block.stride)[0].long()
    values = block.scaled_positions(gradients)
    if models == 1:
        values = values.sum(1, keepdim=True)
    count, _, outputs, _ = values.shape
    design = values.new_zeros(count, outputs, len(places), models, height * width + 1)
    for index, place in enumerate(places):
        # All positions outside of the input share entry 0, which is dropped.
        design[:, :, index][..., place] = values.transpose(1, 2)
    return design[..., 1:].flatten(3)
