from typing import Any

import pytest

from palimpsest.metrics import GroupLinkageScores, Metrics, area, reach_verdict, share
from palimpsest.metrics.schema_verdict import Grade
from palimpsest.report.aggregation import aggregation_findings, aggregation_notes
from palimpsest.report.worth import worth_findings

SCORES = {"mse": 0.07, "identification_top1": 0.01, "identification_top5": 0.05, "count": 200}


def linkage(auc: float = 0.8, others: float | None = 0.7) -> GroupLinkageScores:
    return GroupLinkageScores(
        "whitened",
        area(auc, 200, 100),
        share(0.75, 200, chance=0.5),
        strangers=100,
        auc_other_groups=None if others is None else area(others, 200, 200),
    )


def metrics(**changes: Any) -> Metrics:
    aggregation = {
        "granularity": "client",
        "proofs": 12,
        "smallest": 16,
        "largest": 21,
        "linkage": linkage(),
        "group_mean": {**SCORES, "mse": 0.06, "intervals": {}},
    }
    given = {name: value for name, value in {**aggregation, **changes}.items() if value is not None}
    return Metrics.model_validate(
        {"attack": {}, "seconds": {}, "reconstruction": SCORES, "aggregation": given}
    )


def test_findings_state_sizes_errors_and_linkage() -> None:
    error, linked = aggregation_findings(metrics())
    assert "Each of the 12 proofs belongs to 16 to 21 images" in error
    assert "mean squared error of 0.06; this attack has 0.07" in error
    assert "the likelihood ratio of Gaussian gradient differences" in linked
    assert "0.7 (95 % interval" in linked
    assert "against the forgotten images of other groups" in linked
    assert [error, linked] == [text for text in worth_findings(metrics()) if text in (error, linked)]


def test_a_single_proof_has_no_other_groups() -> None:
    changes = {"granularity": "federation", "proofs": 1, "smallest": 200, "largest": 200}
    single = metrics(**changes, linkage=linkage(others=None))
    findings = " ".join(aggregation_findings(single))
    assert "belongs to 200 images" in findings
    assert "other groups" not in findings
    assert "forgotten images of all clients" in " ".join(aggregation_notes(single))


def test_notes_say_what_applies_in_another_way() -> None:
    (about, control) = aggregation_notes(metrics())
    assert "16 to 21 forgotten images of a client" in about
    assert "no positive control" in control
    areas = {"spot-check": {"zeros": [1.0, 1.0, 1.0]}}
    sound = Metrics.model_validate(
        metrics(proofs=1).tree() | {"soundness": {"areas": areas, "needs": {}, "checks": {}, "worst": {}}}
    )
    notes = " ".join(aggregation_notes(sound))
    assert "a single sum over all clients, as in secure aggregation, can't answer a challenge" in notes
    assert "one honest and one forged proof" in notes


def test_without_aggregation_nothing_is_said() -> None:
    plain = Metrics.model_validate({"attack": {}, "seconds": {}, "reconstruction": SCORES})
    assert not list(aggregation_findings(plain))
    assert not list(aggregation_notes(plain))


@pytest.mark.parametrize(
    ("auc", "grade"), [(0.8, Grade.LEAKS_TO_CANDIDATE_HOLDERS), (0.5, Grade.INCONCLUSIVE)]
)
def test_linkage_to_a_group_is_a_leak_to_who_holds_candidates(auc: float, grade: Grade) -> None:
    verdict = reach_verdict(metrics(linkage=linkage(auc)))
    assert verdict.grade is grade
    assert any("behind an aggregated proof" in reason for reason in verdict.reasons) == (auc > 0.5)
