"""Inputs of one block from its outputs and its part of the proof, by annealed expectation maximization (EM)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from palimpsest.attacks.exact.block import Block
from palimpsest.attacks.exact.chain import relative
from palimpsest.attacks.exact.least_squares import Weights, solve_inputs
from palimpsest.attacks.exact.repair import repair_switches
from palimpsest.attacks.exact.routing import Known, decide_switches, expect_switches, switch_noise

# An equation of an output is trusted more than the noise of the outputs says, as in deterministic annealing.
_OUTPUT_TRUST = 0.3
# Share of the errors of a row's equations that the model of the noise does not explain.
_ROW_FLOOR, _SCALE_FLOOR = 1e-6, 1e-9
_LEAST_NOISE = 1e-3
_EM_STEPS, _FINAL_STEPS, _FINAL_ROUNDS, _REPAIRS = 20, 40, 2, 4
# Inputs of a ReLU below this share of the largest are zeros; a precision holds them at zero in the last rounds.
_ZERO, _HELD, _FREE = 1e-5, 1e4, 1e-6
# A relative error of the equations below this one needs no further attempt.
_SOLVED = 1e-4
# The error that float32 proofs leave.
_ROUNDING = 2e-6
# Largest error that single wrong switches explain.
_REPAIRABLE = 0.05


@dataclass(frozen=True)
class Prior:
    """Estimate of a block's inputs before its equations are solved.

    Args:
        mean: Estimated inputs, `[n, m, *inputs]` float64.
        variance: Variance of their errors, `[m, channels]`.
        noise: Standard deviation of the errors of their pre-activations.
        low: Smallest possible input.
        high: Largest possible input.
    """

    mean: Tensor
    variance: Tensor
    noise: float
    low: float
    high: float

    def select(self, images: Tensor) -> "Prior":
        """Return the same for some of the images."""
        return replace(self, mean=self.mean[images])


@dataclass(frozen=True)
class Annealing:
    """Schedule of the noise.

    Args:
        rounds: Rounds of EM.
        decay: Factor by which the noise falls in each round, at most.
        caution: Smallest noise, in standard deviations of the current errors of the outputs.
        widening: Factor of the first noise.
    """

    rounds: int = 45
    decay: float = 0.85
    caution: float = 1.0
    widening: float = 1.0


ATTEMPTS = (
    Annealing(rounds=14, decay=0.65),
    Annealing(),
    Annealing(rounds=48, decay=0.88, caution=0.7),
    Annealing(rounds=60, decay=0.9, caution=0.5, widening=1.5),
)
"""Schedules that are tried in this order, until the equations of an image hold."""


@dataclass(frozen=True)
class Solved:
    """The solution of a block.

    Args:
        inputs: Both models' inputs, `[n, m, *inputs]` float64.
        switches: Switches of each window as 0 and 1, `[n, 2, *outputs, window]`.
        residual: Relative error of the block's part of the proof, `[n]`.
        gradients: Loss gradients at the inputs, `[n, 2, *inputs]`; negated for the unlearned model.
    """

    inputs: Tensor
    switches: Tensor
    residual: Tensor
    gradients: Tensor


def solve_block(known: Known, prior: Prior, attempts: tuple[Annealing, ...] = ATTEMPTS) -> Solved:
    """Solve a block; each image keeps the attempt with the smallest error of its equations.

    Args:
        known: The block, its outputs and gradients, and its equations.
        prior: Estimates of the inputs.
        attempts: Schedules of the noise.
    """
    inputs, switches, residual = _attempt(known, prior, attempts[0])
    for annealing in attempts[1:]:
        failed = (residual > _SOLVED).nonzero().flatten()
        if not len(failed):
            break
        again = _attempt(known.select(failed), prior.select(failed), annealing)
        better = again[2] < residual[failed]
        for kept, new in zip((inputs, switches, residual), again, strict=True):
            kept[failed[better]] = new[better]
    block = known.block
    gradients = block.backpropagate(known.loss_gradients(switches))
    return Solved(inputs, switches, residual, gradients)


def _attempt(known: Known, prior: Prior, annealing: Annealing) -> tuple[Tensor, Tensor, Tensor]:
    # Without pooling, the outputs reveal all switches.
    certain = known.block.window == (1, 1)
    return _finish(known, prior, prior.mean if certain else _anneal(known, prior, annealing))


def _anneal(known: Known, prior: Prior, annealing: Annealing) -> Tensor:
    """Alternate between the switches and the inputs while the noise falls.

    Float32 is twice as fast as float64, and accurate enough for the switches.
    """
    known, mean = known.to(torch.float32), prior.mean.float()
    block, inputs = known.block, mean
    noise = torch.full((len(inputs),), annealing.widening * prior.noise, dtype=inputs.dtype)
    precision = (1 / prior.variance.float())[None, :, :, None, None]
    squares = known.rows.square().mean(2)
    floor = (
        _ROW_FLOOR * squares + _SCALE_FLOOR * squares.mean(1, keepdim=True) + torch.finfo(squares.dtype).tiny
    )
    for _ in range(annealing.rounds):
        before = block.before_activation(inputs)
        switches = expect_switches(known, before, noise.view(-1, 1, 1, 1, 1, 1))
        row_noise = switch_noise(known, switches, block.patches(inputs)) + floor
        weights = Weights(1 / row_noise, 1 / (_OUTPUT_TRUST * noise.square()), precision)
        inputs = solve_inputs(known, inputs, mean, switches, before, weights, steps=_EM_STEPS)
        inputs = inputs.clamp(prior.low, prior.high)
        error = _output_error(known, block.before_activation(inputs), switches)
        noise = torch.maximum(annealing.caution * error, annealing.decay * noise).clamp_min(_LEAST_NOISE)
    return inputs.double()


def _finish(known: Known, prior: Prior, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decide the switches, solve to rounding errors, and repair single switches while that lowers the error."""
    block = known.block
    for _ in range(_FINAL_ROUNDS):
        switches = decide_switches(known, block.before_activation(inputs))
        inputs = _solve_exactly(known, prior, inputs, switches)
    switches = decide_switches(known, block.before_activation(inputs))
    inputs = _hold_zeros(known, prior, inputs, switches)
    best = inputs, switches, equation_error(known, inputs, switches)
    for _ in range(_REPAIRS):
        # A few wrong switches can be repaired, many can't.
        if not bool(((best[2] > _ROUNDING) & (best[2] < _REPAIRABLE)).any()):
            break
        switches = repair_switches(known, switches, inputs)
        inputs = _hold_zeros(known, prior, inputs, switches)
        error = equation_error(known, inputs, switches)
        better = error < best[2]
        for kept, new in zip(best, (inputs, switches, error), strict=True):
            kept[better] = new[better]
    return best


def _hold_zeros(known: Known, prior: Prior, inputs: Tensor, switches: Tensor) -> Tensor:
    """Solve once more with the inputs that are zero held there, if the inputs are outputs of a ReLU."""
    if prior.low != 0:
        return _solve_exactly(known, prior, inputs, switches)
    largest = inputs.flatten(1).amax(1).view(-1, 1, 1, 1, 1)
    zero = inputs <= _ZERO * largest
    precision = torch.where(zero, _HELD, _FREE)
    inputs = _solve_exactly(known, prior, inputs.masked_fill(zero, 0.0), switches, precision)
    return inputs * (inputs > _ZERO / 3 * largest)


def _solve_exactly(
    known: Known, prior: Prior, inputs: Tensor, switches: Tensor, precision: Tensor | None = None
) -> Tensor:
    """Solve with decided switches; the prior only keeps undetermined inputs where they are."""
    scale = known.rows.square().mean((1, 2)).clamp_min(1e-300)
    rows = (0.1 / scale).view(-1, 1).expand(known.rows.shape[:2])
    outputs = torch.ones(len(inputs), dtype=inputs.dtype)
    weights = Weights(rows, outputs, torch.full_like(inputs, _FREE) if precision is None else precision)
    before = known.block.before_activation(inputs)
    solved = solve_inputs(
        known, inputs, inputs, switches, before, weights, steps=_FINAL_STEPS, inequalities=False
    )
    return solved.clamp(prior.low, prior.high)


def equation_error(known: Known, inputs: Tensor, switches: Tensor) -> Tensor:
    """Compute the relative error of a block's part of the proofs, `[n]`."""
    block: Block = known.block
    explained = block.weight_gradient(known.loss_gradients(switches), block.patches(inputs))
    return relative(explained - known.rows, known.rows)


def _output_error(known: Known, before: Tensor, switches: Tensor) -> Tensor:
    """Compute the root mean square error of the known outputs, `[n]`."""
    if known.block.pooling == "average":
        count = before.shape[-1]
        errors = ((switches * before).sum(-1) / count - known.target).square() * known.active * count
        total = known.active
    else:
        errors, total = ((known.target.unsqueeze(-1) - before).square() * switches).sum(-1), known.active
    return (errors.flatten(1).sum(1) / total.flatten(1).sum(1).clamp_min(1)).sqrt()
