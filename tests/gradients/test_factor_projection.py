import pytest
import torch
from torch import Tensor

from palimpsest.gradients.factor_projection import FactorProjection


def rows(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@pytest.mark.parametrize("outputs", [None, rows(5, 2)])
@pytest.mark.parametrize("inputs", [None, rows(7, 3)])
def test_equals_the_projection_of_the_sum_of_outer_products(
    outputs: Tensor | None, inputs: Tensor | None
) -> None:
    grad_outputs, values = rows(4, 6, 5), rows(4, 6, 7)
    gradients = torch.einsum("ntq,ntp->nqp", grad_outputs, values)
    expected = gradients if outputs is None else outputs.T @ gradients
    expected = expected if inputs is None else expected @ inputs
    found = FactorProjection(outputs, inputs).of_outer_products(grad_outputs, values)
    torch.testing.assert_close(found, expected)
