"""Descent through all layers."""

import pytest
import torch
from tests.support.exact_cases import BUILDERS, exact_case, globally_pooled, strided
from torch.testing import assert_close

from palimpsest.attacks.exact.descent import Descent, descend
from palimpsest.attacks.exact.priors import bounds
from palimpsest.attacks.exact.solve_block import Prior


def descended(case, thresholds) -> Descent:
    def prior_of(level: int, images: torch.Tensor, _: Descent) -> Prior:
        inputs = case.inputs(level)
        mean = inputs.mean((0, 3, 4), keepdim=True).expand_as(inputs)[images].clone()
        return Prior(mean, inputs.var((0, 3, 4)) + 1e-6, 0.5, *bounds(case.chain, level))

    return descend(case.chain, case.proofs, prior_of, thresholds)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_certified_layers_are_correct(build) -> None:
    case = exact_case(build, count=4)
    thresholds = [1e-4] * len(case.chain.layers)
    descent = descended(case, thresholds)
    levels = descent.level(thresholds)
    assert (levels <= len(case.chain.blocks)).all()
    # Eight sums over the whole map do not determine the inputs of a global average.
    assert (levels == 0).any() == (build is not globally_pooled)
    for image, level in enumerate(levels.tolist()):
        for solved in range(level, len(case.levels)):
            truth = case.levels[solved][image]
            assert_close(descent.features[solved][image].reshape(truth.shape), truth, rtol=1e-3, atol=1e-4)


def test_the_descent_stops_at_a_layer_that_is_not_certified() -> None:
    case = exact_case(strided, count=2)
    descent = descended(case, [1e-4, 0.0, 1e-4])
    assert descent.residuals[:, 1].isfinite().all()
    assert descent.residuals[:, 2].isinf().all()
    assert descent.level([1e-4, 0.0, 1e-4]).tolist() == [2, 2]
    assert descent.level([0.0, 1e-4, 1e-4]).tolist() == [3, 3]
    assert not descent.features[0].any()
