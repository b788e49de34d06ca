"""Operators of a block, against automatic differentiation."""

import pytest
import torch
from tests.support.exact_cases import BUILDERS, exact_case
from torch.testing import assert_close


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_adjoints(build) -> None:
    for block in exact_case(build).chain.blocks:
        inputs = torch.randn(2, 2, *block.inputs, dtype=torch.float64)
        patches = block.patches(inputs)
        other = torch.randn_like(patches)
        assert_close((patches * other).sum(), (inputs * block.sum_patches(other)).sum())
        windows = block.windows(torch.randn(2, 2, block.outputs[0], block.size[0] * block.size[1]))
        assert_close(block.windows(block.positions(windows)), windows)
        gradients = torch.randn_like(windows).double()
        rows = torch.randn(2, *block.weight.shape[1:], dtype=torch.float64)
        mapped = block.weight_gradient(gradients, patches)
        assert_close((mapped * rows).sum(), (patches * block.weight_gradient_adjoint(gradients, rows)).sum())


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_switches_and_backpropagation_are_derivatives(build) -> None:
    for block in exact_case(build).chain.blocks:
        inputs = torch.randn(2, 2, *block.inputs, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(2, 2, *block.outputs, dtype=torch.float64)
        (expected,) = torch.autograd.grad((weights * block.forward(inputs)).sum(), inputs)
        switches = block.switches(block.before_activation(inputs.detach()))
        assert_close(block.backpropagate(switches * weights.unsqueeze(-1)), expected)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_the_activation_is_inverted(build) -> None:
    for block in exact_case(build).chain.blocks:
        values = torch.linspace(0.1, 2, 7, dtype=torch.float64)
        assert_close(block.invert_activation(block.activate(values)), values)
        if block.activation != "relu":
            assert_close(block.invert_activation(block.activate(-values)), -values)
