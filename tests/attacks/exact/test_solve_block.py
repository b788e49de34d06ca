"""One block's inputs, against the enumeration of all routings."""

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.exact_cases import BUILDERS, average_pooled, exact_case, max_pooled
from torch import Tensor, nn
from torch.testing import assert_close

from palimpsest.attacks.exact.routing import Known
from palimpsest.attacks.exact.solve_block import Annealing, Prior, equation_error, solve_block


def prior_of(inputs: Tensor, *, low: float, high: float) -> Prior:
    """A prior that knows the mean of the inputs, and nothing about the images."""
    mean = inputs.mean((0, 3, 4), keepdim=True).expand_as(inputs)
    variance = inputs.var((0, 3, 4)) + 1e-6
    return Prior(mean.clone(), variance, 0.5, low, high)


def one_window() -> nn.Module:
    """Make a block with one pooling window for each channel."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5, 3)
    )


def routings(known: Known) -> Tensor:
    """All combinations of switched positions of the active windows, `[routings, 2, *outputs, window]`."""
    places = known.active[0].nonzero().tolist()
    choices = torch.tensor(list(itertools.product(range(4), repeat=len(places))))
    switches = torch.zeros(len(choices), *known.outputs.shape[1:], 4, dtype=torch.float64)
    for place, chosen in zip(places, choices.T, strict=True):
        switches[(slice(None), *place)] = nn.functional.one_hot(chosen, 4).double()
    return switches


@pytest.mark.parametrize("seed", [23, 27])
def test_the_true_routing_has_the_smallest_residual_of_all(seed: int) -> None:
    known, inputs, switches = exact_case(one_window, count=1, seed=seed).known(0)
    assert 4 <= known.active.sum() <= 5
    block, candidates = known.block, routings(known)
    basis = torch.eye(inputs.numel(), dtype=torch.float64).view(-1, *inputs.shape[1:])
    patches, bias = block.patches(basis), block.bias[:, :, None, None, None]
    values = block.before_activation(basis) - bias
    errors = []
    for routing in candidates:
        columns = block.weight_gradient(known.loss_gradients(routing), patches)
        design = torch.cat([columns.flatten(1), (values * routing).flatten(1)], 1).T
        right = torch.cat(
            [known.rows.flatten(), ((known.target[0].unsqueeze(-1) - bias) * routing).flatten()]
        )
        solution = torch.linalg.lstsq(design, right.unsqueeze(1), driver="gelsd").solution
        errors.append((design @ solution.squeeze(1) - right).norm())
    right = switches * known.active.unsqueeze(-1)
    order = torch.stack(errors).sort()
    assert_close(candidates[order.indices[0]], right[0])
    assert order.values[0] < 1e-10 < order.values[1]
    # A flat prior does not always lead to the true routing, but the residual says whether it did.
    solved = solve_block(known, prior_of(inputs, low=0.0, high=1.0))
    assert torch.equal(solved.switches, right) == (float(solved.residual) < 1e-8)


@pytest.mark.parametrize("build", [max_pooled, average_pooled])
def test_an_image_is_solved_from_a_flat_prior(build) -> None:
    case = exact_case(build, count=4)
    known, inputs, switches = case.known(0)
    solved = solve_block(known, prior_of(inputs, low=0.0, high=1.0))
    right = solved.residual < 1e-6
    assert right.sum() >= 3
    assert_close(solved.inputs[right], inputs[right], rtol=1e-5, atol=1e-6)
    assert_close(solved.switches[right], (switches * known.active.unsqueeze(-1))[right])


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_a_small_residual_means_that_the_proof_is_reproduced(build, seed: int) -> None:
    case = exact_case(build, count=2, seed=seed)
    level = len(case.chain.blocks) - 1
    known, inputs, _ = case.known(level)
    low = 0.0 if case.chain.nonnegative(level) else -torch.inf
    solved = solve_block(
        known, prior_of(inputs, low=low, high=torch.inf), (Annealing(rounds=14, decay=0.65),)
    )
    assert_close(solved.residual, equation_error(known, solved.inputs, solved.switches))
    block = known.block
    before = block.before_activation(solved.inputs)
    outputs = block.pool(block.activate(before))
    for image in (solved.residual < 1e-7).nonzero().flatten().tolist():
        gradients = block.switches(before) * known.gradients.unsqueeze(-1)
        rows = block.weight_gradient(gradients, block.patches(solved.inputs))
        assert_close(
            rows[image], known.rows[image], rtol=1e-4, atol=1e-6 * float(known.rows[image].abs().max())
        )
        assert_close(outputs[image], known.outputs[image], rtol=1e-3, atol=1e-4)


def test_later_attempts_only_replace_worse_ones() -> None:
    case = exact_case(max_pooled, count=3)
    known, inputs, _ = case.known(0)
    prior = prior_of(inputs, low=0.0, high=1.0)
    hopeless = Annealing(rounds=1, decay=1e-3)
    first = solve_block(known, prior, (hopeless,))
    both = solve_block(known, prior, (hopeless, Annealing()))
    assert (both.residual <= first.residual).all()
    assert both.residual.sum() < first.residual.sum()
    turned = solve_block(known, prior, (Annealing(), hopeless))
    assert_close(turned.residual, solve_block(known, prior, (Annealing(),)).residual.minimum(turned.residual))
