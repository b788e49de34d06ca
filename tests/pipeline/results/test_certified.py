from dataclasses import replace

import pytest
import torch
from tests.support.outcomes import FOUND, TRUTH, proofs_outcome

from palimpsest.attacks import Certificates
from palimpsest.metrics import Metrics
from palimpsest.pipeline.results.certified import certificate_metrics
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.outcome import Outcome

CERTIFICATES = Certificates(
    ("last", "first"),
    torch.tensor([[1e-7, 1e-7], [1e-7, 1e-7], [1e-7, 1.0], [1.0, torch.inf]]).double(),
    torch.tensor([1e-5, 1e-5], dtype=torch.float64),
    torch.tensor([1e-7, 1e-7, 1.0, torch.inf]).double(),
    1e-5,
    "a reason",
)


def certified_outcome(*, scored: bool) -> Outcome:
    """The first image is exact; the second one is half as bright as it should be."""
    outcome = proofs_outcome(scored=scored)
    images = torch.cat([TRUTH.images[:1], TRUTH.images[1:] / 2])
    found = replace(FOUND, images=images, certificates=(CERTIFICATES,))
    return replace(outcome, scored=replace(outcome.scored, reconstruction=found))


def test_an_attack_without_certificates_has_no_section() -> None:
    assert certificate_metrics(proofs_outcome(scored=True)) is None


def test_wrong_certificates_are_counted() -> None:
    section = build_metrics(certified_outcome(scored=True), {}).certificates
    assert section is not None
    assert section.wrong == 1
    assert {status: row.count for status, row in section.statuses.items()} == {
        "certified exact": 2,
        "certified up to layer last": 1,
        "not certified": 1,
    }
    errors = (TRUTH.images / 2).square().flatten(1).mean(1)
    exact = section.statuses["certified exact"]
    assert exact.mean_mse == pytest.approx(float(errors[1]) / 2)
    assert exact.largest_mse == pytest.approx(float(errors[1]))
    assert section.thresholds == {"last": 1e-5, "first": 1e-5, "image": 1e-5}
    assert section.limit == "a reason"


def test_without_the_truth_nothing_is_compared() -> None:
    section = build_metrics(certified_outcome(scored=False), {}).certificates
    assert section is not None
    assert section.wrong is None
    assert section.statuses["not certified"].mean_mse is None
    assert Metrics.model_validate(build_metrics(certified_outcome(scored=False), {}).tree()).certificates
