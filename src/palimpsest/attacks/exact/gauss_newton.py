"""Images from the outputs of the last solved layer, by Gauss-Newton steps with soft switches.

With the switches of the current image, Gauss-Newton stalls: wrong switches explain each other. Here, the switches are
averages over plausible images around the current one, and the equations of undecided switches have little weight. The
plausible images come closer from round to round.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.attacks.exact.block import Block
from palimpsest.attacks.exact.least_squares import conjugate_gradients
from palimpsest.attacks.exact.routing import Known
from palimpsest.attacks.exact.soft_switches import Spread, below, infer_switches, linearized, spread_over

SCHEDULE = tuple([0.82**step for step in range(10)] + [0.35 * 0.72**step for step in range(9)])
"""Sizes of the ensemble's errors in each round, relative to the errors of the learned start."""
_MEMBERS, _STEPS = 6, 40
_DAMPING, _TINY = 1.0, 1e-12


@dataclass(frozen=True)
class Refinement:
    """Knowledge about the images besides the equations.

    Args:
        start: Images of the learned start as inputs of the first block, `[n, 1, c, h, w]` float32.
        precision: Inverse covariance of the start's errors, `[pixels, pixels]`.
        errors: Samples of the start's errors, `[samples, c, h, w]`.
        scale: Expected size of each image's errors, relative to the samples', `[n]`.
        low: Smallest possible value.
        high: Largest possible value.
    """

    start: Tensor
    precision: Tensor
    errors: Tensor
    scale: Tensor
    low: float
    high: float


def refine_images(
    known: Known,
    lower: Sequence[Block],
    rows: Sequence[Tensor],
    refinement: Refinement,
    schedule: Sequence[float],
    *,
    generator: Generator,
) -> Tensor:
    """Solve for the images, as inputs of the first block, `[n, 1, c, h, w]` float32.

    Args:
        known: The last block that is not solved, whose outputs are known.
        lower: The blocks before it.
        rows: The parts of the proofs of `lower`, `[n, outputs, patch]` each.
        refinement: The learned start and its errors.
        schedule: Size of the ensemble's errors in each round.
        generator: Draws the ensembles.
    """
    known = known.to(torch.float32)
    blocks, inputs = [*lower, known.block], refinement.start
    rows, scale = [part.float() for part in rows], refinement.scale
    trust = torch.zeros_like(scale)
    for size in schedule:
        chosen = torch.randperm(len(refinement.errors), generator=generator)[:_MEMBERS]
        members = refinement.errors[chosen]
        errors = torch.cat([members, -members])[None, :, None] * (size * scale).view(-1, 1, 1, 1, 1, 1)
        spread = spread_over(blocks, inputs, errors)
        evidence = torch.maximum(0.3 / torch.full_like(scale, size), trust).clamp(max=1)
        system = _linearize(known, blocks, rows, spread, evidence)
        trust = 0.03 / system.relative_error
        inputs = (inputs + _step(system, refinement, inputs)).clamp(refinement.low, refinement.high)
    return inputs


@dataclass(frozen=True)
class _System:
    """Linear equations of a change of the images.

    Args:
        blocks: The blocks, first one first.
        switches: Mean derivatives of the lower blocks' outputs.
        loss_gradients: Loss gradients at each block's pre-activations.
        left: Part of each block's proof equations that is not explained yet, `[n, outputs, patch]`.
        row_weights: Inverse variances of these equations, `[n, outputs, 1]`.
        output_weights: Inverse variances of the last block's pre-activations, `[n, 2, *outputs, window]`.
        output_left: Missing part of these pre-activations.
        coefficients: With average pooling, coefficients of the window's sum, whose weight is `output_weights`.
        relative_error: Relative error of the last block's proof equations, `[n]`.
    """

    blocks: Sequence[Block]
    switches: list[Tensor]
    loss_gradients: list[Tensor]
    left: list[Tensor]
    row_weights: list[Tensor]
    output_weights: Tensor
    output_left: Tensor
    coefficients: Tensor | None
    relative_error: Tensor

    def normal(self, change: Tensor) -> Tensor:
        """Apply the equations and their adjoint to changes `[n, 1, c, h, w]`."""
        rows, values = [], change
        for index, block in enumerate(self.blocks):
            patches = block.patches(values.reshape(*values.shape[:2], *block.inputs))
            rows.append(block.weight_gradient(self.loss_gradients[index], patches))
            if index < len(self.switches):
                values = linearized(block, self.switches[index], patches)
            else:
                values = block.windows(block.weight.to(change.dtype) @ patches)
        if self.coefficients is not None:
            values = (self.coefficients * values).sum(-1, keepdim=True).expand_as(values)
        return self.adjoint(values, rows)

    def right_hand_side(self) -> Tensor:
        """Apply the adjoint to what is left to explain."""
        return self.adjoint(self.output_left, self.left)

    def adjoint(self, outputs: Tensor, rows: Sequence[Tensor]) -> Tensor:
        """Weight the equations' values, and map them to the images."""
        values = self.output_weights * outputs
        if self.coefficients is not None:
            values = values * self.coefficients
        for index in reversed(range(len(self.blocks))):
            block = self.blocks[index]
            weight = block.weight.to(values.dtype)
            weighted = self.row_weights[index] * rows[index]
            patches = weight.mT @ block.positions(values)
            patches = patches + block.weight_gradient_adjoint(self.loss_gradients[index], weighted)
            gradient = block.sum_patches(patches)
            if index:
                before = self.blocks[index - 1]
                gradient = gradient.reshape(*gradient.shape[:2], *before.outputs).unsqueeze(-1)
                values = self.switches[index - 1] * gradient
            else:
                return gradient.sum(1, keepdim=True)
        raise AssertionError("there is at least one block")

    def diagonal(self) -> Tensor:
        """Estimate the diagonal of the normal matrix, `[n, 1, c, h, w]`."""
        squares = self.output_weights
        if self.coefficients is not None:
            squares = squares * self.coefficients.square()
        for index in reversed(range(len(self.blocks))):
            block = self.blocks[index]
            weight = block.weight.to(squares.dtype).square()
            gradients = block.scaled_positions(self.loss_gradients[index]).square()
            rows = (gradients * self.row_weights[index].unsqueeze(1)).sum(2, keepdim=True)
            total = block.sum_patches(weight.mT @ block.positions(squares) + rows)
            if index:
                before = self.blocks[index - 1]
                total = total.reshape(*total.shape[:2], *before.outputs).unsqueeze(-1)
                squares = self.switches[index - 1].square() * total
            else:
                return total.sum(1, keepdim=True)
        raise AssertionError("there is at least one block")


def _linearize(
    known: Known, blocks: Sequence[Block], rows: Sequence[Tensor], spread: Spread, evidence: Tensor
) -> _System:
    """Set up the equations around the current images."""
    patches = [block.patches(inputs) for block, inputs in zip(blocks, spread.inputs, strict=True)]
    switches = infer_switches(known, spread, patches[-1], evidence)
    loss_gradients = [known.loss_gradients(switches)]
    for index in reversed(range(len(blocks) - 1)):
        inner = blocks[index + 1].backpropagate(loss_gradients[0])
        inner = inner.reshape(*inner.shape[:2], *blocks[index].outputs).unsqueeze(-1)
        loss_gradients.insert(0, spread.switches[index] * inner)
    left, row_weights = [], []
    for block, gradients, part, given in zip(
        blocks, loss_gradients, [*rows, known.rows], patches, strict=True
    ):
        left.append(part - block.weight_gradient(gradients, given))
        size = part.square().mean((1, 2)).view(-1, 1)
        row_weights.append((1 / (left[-1].square().mean(2) + _TINY * size + 1e-30)).unsqueeze(2))
    error = (left[-1].square().mean((1, 2)) / known.rows.square().mean((1, 2)).clamp_min(1e-30)).sqrt()
    weights, output_left, coefficients = _output_equations(known, spread, switches)
    return _System(
        blocks,
        spread.switches,
        loss_gradients,
        left,
        row_weights,
        weights,
        output_left,
        coefficients,
        error.clamp_min(1e-9),
    )


def _output_equations(known: Known, spread: Spread, switches: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the weights, the missing parts, and the coefficients of the known outputs' equations."""
    target = known.target.unsqueeze(-1)
    if known.block.pooling == "average":
        count = switches.shape[-1]
        undecided = switches * (1 - switches) * (spread.before.square() + spread.variance)
        noise = (switches * spread.nonlinear + undecided).sum(-1, keepdim=True) + _TINY
        missing = (target * count - (switches * spread.before).sum(-1, keepdim=True)).expand_as(switches)
        return (known.active.unsqueeze(-1) / noise).expand_as(switches), missing, switches
    equal = switches / spread.nonlinear
    weight, peak = below(spread.before, target, spread.variance.sqrt())
    weight = weight * (1 - switches)
    total = (equal + weight).clamp_min(_TINY)
    return total, (equal * target + weight * peak) / total - spread.before, None


def _step(system: _System, refinement: Refinement, inputs: Tensor) -> Tensor:
    """Solve the equations, with the prior around the learned start, for the change of the images."""
    strength = (1 / refinement.scale.square()).view(-1, 1)
    precision = refinement.precision

    def prior(change: Tensor) -> Tensor:
        return (strength * (change.flatten(1) @ precision)).view_as(change)

    diagonal = strength * precision.diagonal() + _DAMPING
    diagonal = system.diagonal() + diagonal.view_as(inputs)
    return conjugate_gradients(
        lambda change: system.normal(change) + prior(change) + _DAMPING * change,
        system.right_hand_side() + prior(refinement.start - inputs),
        torch.zeros_like(inputs),
        steps=_STEPS,
        precondition=lambda residual: residual / diagonal,
    )
