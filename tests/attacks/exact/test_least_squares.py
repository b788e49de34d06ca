"""The M step, against a dense least-squares solution."""

import pytest
import torch
from tests.support.exact_cases import average_pooled, exact_case, max_pooled, strided
from torch import Tensor
from torch.testing import assert_close

from palimpsest.attacks.exact.least_squares import Weights, conjugate_gradients, solve_inputs


@pytest.mark.parametrize("build", [max_pooled, strided])
@pytest.mark.parametrize("inequalities", [False, True])
def test_inputs_are_the_dense_least_squares_solution(build, inequalities: bool) -> None:
    case = exact_case(build, count=1)
    level = len(case.chain.blocks) - 1
    known, inputs, switches = case.known(level)
    block, generator = known.block, torch.Generator().manual_seed(3)
    probabilities = torch.rand(switches.shape, dtype=torch.float64, generator=generator)
    start = torch.rand(inputs.shape, dtype=torch.float64, generator=generator)
    before = block.before_activation(start)
    weights = Weights(
        torch.full(known.rows.shape[:2], 5.0).double(), torch.tensor([2.0]).double(), torch.tensor(0.1)
    )
    above = (before > known.target.unsqueeze(-1)).double() if inequalities else torch.zeros_like(before)
    confidence = torch.maximum(probabilities, above)

    def weighted_errors(flat: Tensor) -> Tensor:
        """Errors of all equations in units of their deviations, from the definition."""
        tried = flat.view(inputs.shape)
        rows = block.weight_gradient(known.loss_gradients(probabilities), block.patches(tried)) - known.rows
        outputs = block.before_activation(tried) - known.target.unsqueeze(-1)
        parts = [5.0**0.5 * rows, (2.0 * confidence).sqrt() * outputs, 0.1**0.5 * (tried - inputs)]
        return torch.cat([part.flatten() for part in parts])

    zero = torch.zeros(inputs.numel(), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(weighted_errors, zero)
    expected = torch.linalg.lstsq(jacobian, -weighted_errors(zero).unsqueeze(1)).solution.view(inputs.shape)
    found = solve_inputs(
        known, start, inputs, probabilities, before, weights, steps=400, inequalities=inequalities
    )
    assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_average_pooling_uses_sums_of_windows() -> None:
    case = exact_case(average_pooled, count=2)
    known, inputs, switches = case.known(0)
    weights = Weights(
        torch.full(known.rows.shape[:2], 1e3).double(), torch.full((2,), 1e3).double(), torch.tensor(1e-9)
    )
    start = torch.zeros_like(inputs)
    before = known.block.before_activation(start)
    active = switches * known.active.unsqueeze(-1)
    found = solve_inputs(known, start, start, active, before, weights, steps=500, inequalities=False)
    assert_close(found, inputs, rtol=1e-4, atol=1e-5)


def test_conjugate_gradients_solve_each_system_of_a_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    roots = torch.randn(4, 6, 6, dtype=torch.float64, generator=generator)
    matrices = roots @ roots.mT + torch.eye(6)
    right = torch.randn(4, 6, dtype=torch.float64, generator=generator)
    found = conjugate_gradients(
        lambda v: (matrices @ v.unsqueeze(2)).squeeze(2),
        right,
        torch.zeros_like(right),
        steps=30,
        precondition=lambda v: v,
    )
    assert_close(found, torch.linalg.solve(matrices, right), rtol=1e-6, atol=1e-8)
