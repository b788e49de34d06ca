"""The last linear layer in closed form."""

import pytest
import torch
from tests.support.exact_cases import BUILDERS, exact_case
from torch.testing import assert_close

from palimpsest.attacks.exact.head import solve_head


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_inputs_labels_and_gradients(build) -> None:
    case = exact_case(build, count=4)
    head = solve_head(case.chain, case.proofs)
    assert_close(head.labels, case.labels)
    assert_close(head.features, case.levels[-1].flatten(2), rtol=1e-5, atol=1e-6)
    assert head.residual.max() < 1e-5
    known, _, _ = case.known(len(case.chain.blocks) - 1)
    assert_close(head.gradients, known.gradients.flatten(2), rtol=1e-4, atol=1e-6)


def test_noise_is_not_certified() -> None:
    case = exact_case()
    head = solve_head(case.chain, torch.randn(case.proofs.shape, generator=torch.Generator().manual_seed(1)))
    assert head.residual.min() > 1e-2
    assert head.features.isfinite().all()
