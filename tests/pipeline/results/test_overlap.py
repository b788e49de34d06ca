from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.support.outcomes import audit_outcome, proofs_outcome

from palimpsest.attacks import Knowledge
from palimpsest.datasets import Copies, FederatedData, Overlap
from palimpsest.metrics import OverlapMetrics
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.overlap import measured_knowledge, overlap_metrics

FOUND = Overlap(30, 75, exact=1, near=2, repeated=3, remaining=0, removed=True)


def knowledge(**changes: Any) -> str:
    """The sentence about the auxiliary images after a measurement."""
    counts = OverlapMetrics(
        treatment="removed", examined=30, compared=75, exact=1, near=2, repeated=3, remaining=0
    )
    return measured_knowledge([Knowledge.AUXILIARY], counts.model_copy(update=changes))[0]


def test_an_audit_reports_the_copies_that_its_data_had(data: FederatedData) -> None:
    found = build_metrics(audit_outcome(replace(data, overlap=FOUND)), {}).auxiliary_overlap
    assert found is not None
    assert (found.treatment, found.examined, found.compared) == ("removed", 30, 75)
    assert (found.exact, found.near, found.repeated, found.remaining) == (1, 2, 3, 0)
    kept = overlap_metrics(audit_outcome(replace(data, overlap=replace(FOUND, removed=False, remaining=2))))
    assert kept is not None
    assert (kept.treatment, kept.remaining) == ("kept", 2)
    assert overlap_metrics(audit_outcome(data)) is None


def test_an_attack_counts_the_forgotten_samples_that_it_had() -> None:
    copies = Copies(torch.tensor([True, False, False, True]), None, torch.tensor([False, True, False, False]))
    found = overlap_metrics(replace(proofs_outcome(scored=True), overlap=copies))
    assert found == OverlapMetrics(
        treatment="counted", examined=4, compared=6, exact=2, near=None, repeated=1, remaining=2
    )
    assert overlap_metrics(proofs_outcome()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "none of them identical or nearly identical to one of the clients' 75 training images."),
        ({"near": None}, "none of them identical to one of the clients' 75 training images."),
        ({"treatment": "kept", "remaining": 2}, "which include 2 copies of the clients' 75 training images."),
        ({"treatment": "counted", "remaining": 3}, "which include 3 copies of the 30 forgotten samples."),
        (
            {"treatment": "counted"},
            "none of them identical or nearly identical to one of the 30 forgotten samples.",
        ),
    ],
)
def test_the_attackers_knowledge_is_measured(changes: dict[str, Any], expected: str) -> None:
    assert knowledge(**changes) == f"Auxiliary images, {expected}"


def test_unmeasured_and_other_knowledge_is_not_claimed() -> None:
    sentences = measured_knowledge([Knowledge.PUBLIC, Knowledge.LABELS], None)
    assert sentences == [
        "Public images; whether a client has any of them was not tested.",
        "The labels of the forgotten samples.",
    ]
