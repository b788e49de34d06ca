"""The E step, against enumeration of all switches."""

import itertools
import math

import pytest
import torch
from tests.support.exact_cases import average_pooled, exact_case, max_pooled
from torch import Tensor
from torch.testing import assert_close

from palimpsest.attacks.exact.routing import Known, decide_switches, expect_switches, switch_noise


def density(x: float) -> float:
    return math.exp(-0.5 * x * x)


def cumulative(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def enumerate_maximum(output: float, before: list[float], noise: float) -> list[float]:
    """Probability that each position is the maximum: correct, slow."""
    likelihoods = [
        density((output - value) / noise)
        * math.prod(cumulative((output - other) / noise) for j, other in enumerate(before) if j != i)
        for i, value in enumerate(before)
    ]
    return [likelihood / sum(likelihoods) for likelihood in likelihoods]


def enumerate_average(output: float, before: list[float], noise: float) -> list[float]:
    """Probability that each position is active, over all patterns: correct, slow."""
    total, active = 0.0, [0.0] * len(before)
    for pattern in itertools.product((False, True), repeat=len(before)):
        if not any(pattern):
            continue
        deviation = noise * math.sqrt(sum(pattern))
        gap = len(before) * output - sum(v for v, on in zip(before, pattern, strict=True) if on)
        signs = math.prod(
            cumulative(v / noise if on else -v / noise) for v, on in zip(before, pattern, strict=True)
        )
        weight = density(gap / deviation) / deviation * signs
        total += weight
        active = [share + weight * on for share, on in zip(active, pattern, strict=True)]
    return [share / total for share in active]


@pytest.mark.parametrize(
    ("build", "reference"), [(max_pooled, enumerate_maximum), (average_pooled, enumerate_average)]
)
def test_probabilities(build, reference) -> None:
    known, inputs, _ = exact_case(build, count=1).known(0)
    before = known.block.before_activation(inputs)
    before = before + 0.3 * torch.randn(
        before.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    found = expect_switches(known, before, torch.tensor(0.3).double())
    for place in itertools.product(*map(range, known.outputs.shape)):
        if known.active[place]:
            expected = reference(float(known.outputs[place]), before[place].tolist(), 0.3)
            assert_close(found[place], torch.tensor(expected, dtype=torch.float64))
        else:
            assert not found[place].any()


@pytest.mark.parametrize("build", [max_pooled, average_pooled])
def test_little_noise_finds_the_true_switches(build) -> None:
    known, inputs, switches = exact_case(build).known(0)
    before = known.block.before_activation(inputs)
    assert_close(expect_switches(known, before, torch.tensor(1e-6).double()), switches, atol=1e-3, rtol=0)
    assert_close(decide_switches(known, before), switches)


def variance_of_rows(known: Known, probabilities: Tensor, inputs: Tensor) -> Tensor:
    """Variance of each row's equations over all routings of one window, by enumeration: correct, slow."""
    block, patches = known.block, known.block.patches(inputs)
    zero = torch.zeros_like(probabilities)
    result = torch.zeros(len(inputs), block.outputs[0], dtype=torch.float64)
    for place in itertools.product(*map(range, known.outputs.shape)):
        samples, weights = [], []
        for position, probability in enumerate(probabilities[place]):
            switched = zero.clone()
            switched[(*place, position)] = 1
            samples.append(block.weight_gradient(known.loss_gradients(switched), patches)[place[0], place[2]])
            weights.append(probability)
        values, shares = torch.stack(samples), torch.stack(weights).unsqueeze(1)
        mean = (shares * values).sum(0)
        result[place[0], place[2]] += (shares * (values - mean).square()).sum(0).mean()
    return result


def test_noise_of_undecided_maxima() -> None:
    known, inputs, _ = exact_case(max_pooled, count=1).known(0)
    shape = known.block.before_activation(inputs).shape
    probabilities = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    expected = variance_of_rows(known, probabilities, inputs)
    assert_close(switch_noise(known, probabilities, known.block.patches(inputs)), expected)


@pytest.mark.parametrize("build", [max_pooled, average_pooled])
def test_decided_switches_have_no_noise(build) -> None:
    known, inputs, switches = exact_case(build).known(0)
    on = switches * known.active.unsqueeze(-1)
    silent = switch_noise(known, on, known.block.patches(inputs))
    assert silent.max() < 1e-12 * known.rows.square().mean() + 1e-15
