from dataclasses import replace

import pytest
from tests.support.attack_views import seeded
from tests.support.outcomes import AUXILIARY, TRUTH, gradients_outcome, measured, proofs_outcome, scores

from palimpsest.metrics import measure
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.prior import prior_comparison


def test_the_prior_is_the_start_of_the_search() -> None:
    outcome = gradients_outcome()
    assert outcome.scored.batches is not None
    start = measure(TRUTH.images * 0.75, TRUTH.images, bootstrap=10, generator=seeded())
    started = replace(
        outcome, scored=replace(outcome.scored, batches=replace(outcome.scored.batches, prior=start))
    )
    found = prior_comparison(started)
    assert found is not None
    assert found.prior == "start"
    # The reconstructions are half of the truth, so their errors are four times those of three quarters.
    assert found.difference == pytest.approx(float((scores().mse - start.mse).mean()))
    assert found.difference == pytest.approx(3 * found.mse, rel=1e-4)
    assert found.failed
    assert build_metrics(started, {}).prior_comparison == found


def test_without_a_start_the_prior_is_the_mean_auxiliary_image() -> None:
    found = prior_comparison(proofs_outcome(scored=True))
    assert found is not None
    assert found.prior == "mean image"
    error = (AUXILIARY.images.mean(dim=0) - TRUTH.images).square().flatten(1).mean(dim=1)
    assert found.mse == pytest.approx(float(error.mean()), rel=1e-5)


def test_unknown_samples_are_not_compared() -> None:
    assert prior_comparison(proofs_outcome()) is None
    assert measured() is not None
