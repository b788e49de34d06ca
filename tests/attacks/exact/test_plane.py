"""Factorization by the models' predictions."""

import torch
from tests.support.exact_cases import exact_case, strided
from torch.testing import assert_close

from palimpsest.attacks.exact.plane import factorize_by_models


def test_inputs_without_zeros_are_found() -> None:
    case = exact_case(strided, count=6, seed=1)
    truth = case.levels[-1].flatten(2)
    assert truth.abs().min() > 0
    features, labels = factorize_by_models(case.chain, case.chain.rows(case.proofs)[-1])
    assert_close(labels, case.labels)
    assert_close(features, truth, rtol=1e-6, atol=1e-7)


def test_zeros_give_finite_values() -> None:
    case = exact_case(strided)
    features, _ = factorize_by_models(case.chain, torch.zeros_like(case.chain.rows(case.proofs)[-1]))
    assert features.isfinite().all()
