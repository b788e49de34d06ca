"""The chain's features and proofs, against the models themselves."""

import pytest
import torch
from tests.support.exact_cases import BUILDERS, exact_case
from torch.testing import assert_close

from palimpsest.attacks.exact.chain import relative


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_features_are_those_of_the_models(build) -> None:
    case = exact_case(build)
    features = case.levels[-1].flatten(2)
    logits = torch.einsum("mcw,nmw->nmc", case.chain.weight, features) + case.chain.bias
    assert_close(logits, torch.stack([model(case.images) for model in case.models], 1).detach())
    assert_close(case.chain.to_images(case.levels[0]), case.images)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_proofs_are_gradient_differences(build) -> None:
    case = exact_case(build)
    computed = case.chain.proofs(case.levels[0], case.labels)
    for mine, expected in zip(computed, case.chain.rows(case.proofs), strict=True):
        assert_close(mine, expected)


def test_relative_errors() -> None:
    difference = torch.tensor([[3.0, 4.0], [torch.nan, 0.0], [0.0, 0.0]])
    reference = torch.tensor([[10.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert relative(difference, reference).tolist() == [0.5, torch.inf, 0.0]
