from dataclasses import replace

import pytest
from tests.support.flat_oracle import small_images
from tests.support.outcomes import audit_outcome, proofs_outcome, scores

from palimpsest.datasets import FederatedData
from palimpsest.pipeline.results.control_groups import control_group_metrics
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.notes import outcome_notes
from palimpsest.pipeline.stages.control_groups import ControlGroup

SAMPLES = small_images(9, seed=7)
GROUPS = {"retained": ControlGroup(SAMPLES, True, 0.8 * SAMPLES.images)}


def test_groups_are_compared_with_the_forgotten_samples() -> None:
    outcome = replace(proofs_outcome(scored=True), control_groups=GROUPS)
    found = build_metrics(outcome, {}).control_groups
    assert list(found) == ["retained"]
    mse = float((0.2 * SAMPLES.images).square().mean())
    assert found["retained"].mse == pytest.approx(mse, rel=1e-5)
    assert found["retained"].difference == pytest.approx(float(scores().mse.mean()) - mse, rel=1e-5)
    assert found == control_group_metrics(outcome)


def test_unknown_samples_are_not_compared() -> None:
    assert control_group_metrics(replace(proofs_outcome(), control_groups=GROUPS)) == {}
    assert control_group_metrics(proofs_outcome(scored=True)) == {}


def test_an_audit_without_groups_says_so(data: FederatedData) -> None:
    def notes(**changes: object) -> str:
        outcome = replace(audit_outcome(data), **changes)
        return "\n".join(outcome_notes(outcome, build_metrics(outcome, {})))

    assert "was not tried on retained and never-trained samples" in notes()
    assert "was not tried on retained" not in notes(control_groups=GROUPS)
    server = audit_outcome(data, server=True)
    assert "was not tried on retained" not in "\n".join(outcome_notes(server, build_metrics(server, {})))
