import json
from dataclasses import replace

import pytest
from tests.support.evidence_pages import HASHED, crowded_page
from tests.support.forgetting_cases import GRADED, graded_forgetting
from tests.support.pages import rows_page, synthetic_report, unscored_page

from palimpsest.metrics import ForgettingGrade
from palimpsest.report import ReportInput, Risk, build_evidence, judge


def test_says_what_was_asked_tested_and_found() -> None:
    page = crowded_page()
    evidence = build_evidence(page, judge(page))
    assert evidence.request["Forgotten"].startswith("120 of 1,347 training samples")
    assert tuple(evidence.sha256) == HASHED
    assert evidence.finished == page.finished
    assert len(evidence.disclosure.conclusion) == 2
    assert evidence.disclosure.reasons == page.verdict.reasons
    assert evidence.damage.startswith("Unlearning damaged the model")
    assert "Attacks other than igf-plus." in evidence.not_tested
    assert evidence.metrics == page.metrics.tree()
    assert evidence.headline == judge(page).headline
    assert (evidence.risk, evidence.disclosure.risk, evidence.forgetting.risk) == (
        Risk.HIGH,
        Risk.HIGH,
        Risk.UNKNOWN,
    )


@pytest.mark.parametrize(
    ("grade", "risk"),
    [
        (ForgettingGrade.NOT_FORGOTTEN, Risk.HIGH),
        (ForgettingGrade.TRACES_REMAIN, Risk.MEDIUM),
        (ForgettingGrade.INCONCLUSIVE, Risk.UNKNOWN),
        (ForgettingGrade.NO_TRACE_FOUND, Risk.UNKNOWN),
    ],
)
def test_a_model_that_has_not_forgotten_raises_the_residual_risk(grade: ForgettingGrade, risk: Risk) -> None:
    page = unscored_page()
    row = graded_forgetting(*GRADED[grade])
    page = replace(page, metrics=page.metrics.model_copy(update={"forgetting_tests": [row]}))
    evidence = build_evidence(page, judge(page))
    assert evidence.disclosure.risk is Risk.UNKNOWN
    assert evidence.risk is risk


@pytest.mark.parametrize(
    "page", [synthetic_report(12), unscored_page(), rows_page(), unscored_page(evidence="gradients")]
)
def test_every_kind_of_run_has_a_page(page: ReportInput) -> None:
    evidence = build_evidence(page, judge(page))
    json.dumps(evidence.model_dump(mode="json"), allow_nan=False)
    assert page.evidence in evidence.disclosure.question
    assert evidence.next_steps
    assert evidence.not_tested
