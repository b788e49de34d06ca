"""Gauss-Newton steps on the image."""

import pytest
import torch
from tests.support.exact_cases import BUILDERS, deep, exact_case, globally_pooled, max_pooled, strided
from torch import Tensor
from torch.testing import assert_close

from palimpsest.attacks.exact.gauss_newton import SCHEDULE, Refinement, _linearize, refine_images
from palimpsest.attacks.exact.priors import bounds
from palimpsest.attacks.exact.soft_switches import spread_over


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_the_normal_matrix_is_symmetric_and_has_this_diagonal(build) -> None:
    case = exact_case(build, count=1)
    known, _, _ = case.known(len(case.chain.blocks) - 1)
    inputs = case.inputs(0)
    errors = 0.1 * torch.randn(1, 4, *inputs.shape[1:], dtype=torch.float64, generator=seeded())
    spread = spread_over(case.chain.blocks, inputs, errors - errors.mean(1, keepdim=True))
    rows = case.chain.rows(case.proofs)[:-2]
    system = _linearize(known, case.chain.blocks, rows, spread, torch.ones(1).double())
    size = inputs.numel()
    basis = torch.eye(size, dtype=torch.float64).view(size, 1, *inputs.shape)
    matrix = torch.stack([system.normal(change).flatten() for change in basis])
    assert_close(matrix, matrix.T, rtol=1e-6, atol=1e-9 * float(matrix.abs().max()))
    assert torch.linalg.eigvalsh(matrix).min() > -1e-9 * matrix.abs().max()
    ratio = system.diagonal().flatten() / matrix.diagonal()
    if len(case.chain.blocks) == 1 and system.coefficients is None:
        assert ratio.min() > 0.3
        assert ratio.max() < 3


def refined(build, start_error: float) -> tuple[Tensor, Tensor]:
    case = exact_case(build, count=3)
    known, _, _ = case.known(len(case.chain.blocks) - 1)
    truth = case.inputs(0)
    pixels = truth[0].numel()
    errors = start_error * torch.randn(40, *truth.shape[2:], generator=seeded(5))
    start = (truth + start_error * torch.randn(truth.shape, dtype=torch.float64, generator=seeded(6))).float()
    refinement = Refinement(
        start, torch.eye(pixels) / start_error**2, errors, torch.ones(3), *bounds(case.chain, 0)
    )
    rows = case.chain.rows(case.proofs)[:-2]
    found = refine_images(known, case.chain.blocks[:-1], rows, refinement, SCHEDULE, generator=seeded(7))

    def errors_of(images: Tensor) -> Tensor:
        return (images - truth).square().flatten(1).mean(1)

    return errors_of(start), errors_of(found)


# With average pooling, images may go astray; the solver then keeps the learned start.
@pytest.mark.parametrize("build", [max_pooled, strided, deep, globally_pooled])
def test_images_come_closer(build) -> None:
    before, after = refined(build, 0.1)
    assert after.median() < 0.5 * before.median()


def test_smooth_blocks_are_solved_to_float32() -> None:
    before, after = refined(strided, 0.05)
    assert (after < 1e-4 * before).all()
