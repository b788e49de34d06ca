from dataclasses import replace
from typing import Any

import pytest
from tests.support.forgetting_cases import GRADED, graded_forgetting
from tests.support.pages import BOUNDS, rows_page, synthetic_report, unscored_page

from palimpsest.metrics import ForgettingGrade, Grade, VerdictMetrics
from palimpsest.report import Risk, summarize
from palimpsest.report.risk import FORGETTING_RULES, RULES

JARGON = ("gradient", "MSE", "top-1", "interval", "tau", "AUC", "norm ", "reconstruct", "metric", "oracle")


def graded(grade: Grade, **parts: Any) -> Any:
    verdict = VerdictMetrics(grade=grade, reasons=[]).model_dump()
    return synthetic_report(24, parts={"verdict": verdict, **parts})


@pytest.mark.parametrize(
    ("grade", "risk", "words"),
    [
        (Grade.LEAKS, Risk.HIGH, "can rebuild or recognize images"),
        (Grade.LEAKS_TO_CANDIDATE_HOLDERS, Risk.MEDIUM, "already holds possible images"),
        (Grade.NO_LEAK_FOUND, Risk.LOW, "did not recover the forgotten images"),
        (Grade.INCONCLUSIVE, Risk.UNKNOWN, "can't tell whether"),
    ],
)
def test_each_verdict_has_a_risk_and_two_sentences_without_jargon(
    grade: Grade, risk: Risk, words: str
) -> None:
    summary = summarize(graded(grade))
    assert summary.risk is risk
    assert words in summary.sentences[0]
    assert len(summary.sentences) == 2
    assert len(summary.steps) == 3
    told = " ".join((*summary.sentences, summary.damage, RULES[risk]))
    assert [word for word in JARGON if word in told] == []


def test_a_low_risk_that_follows_from_bounds_says_what_they_leave_open() -> None:
    first, second = summarize(graded(Grade.NO_LEAK_FOUND, bounds=BOUNDS)).sentences
    assert "noise limits what any attack" in first
    assert "do not cover what the two models reveal" in second
    assert [word for word in JARGON if word in first + second] == []


@pytest.mark.parametrize(
    ("grade", "risk", "words"),
    [
        (ForgettingGrade.NOT_FORGOTTEN, Risk.HIGH, "no less clearly than before"),
        (ForgettingGrade.TRACES_REMAIN, Risk.MEDIUM, "but less clearly than before"),
        (
            ForgettingGrade.NO_TRACE_FOUND,
            Risk.LOW,
            "do not recognize them in the unlearned one. Other tests may",
        ),
        (ForgettingGrade.INCONCLUSIVE, Risk.UNKNOWN, "can't tell whether the model has forgotten"),
    ],
)
def test_says_whether_the_model_has_forgotten_without_jargon(
    grade: ForgettingGrade, risk: Risk, words: str
) -> None:
    found = summarize(graded(Grade.LEAKS, forgetting_tests=[graded_forgetting(*GRADED[grade])]))
    assert found.forgetting_risk is risk
    assert words in found.forgetting
    assert [word for word in JARGON if word in found.forgetting + FORGETTING_RULES[risk]] == []


def test_says_that_exact_unlearning_is_exact_and_that_nothing_was_measured() -> None:
    page = graded(Grade.LEAKS)
    distance = replace(page.metrics.forgetting.distance, absolute=0.0)
    exact = replace(page.metrics.forgetting, distance=distance)
    metrics = page.metrics.model_copy(update={"forgetting": exact})
    assert "trained again from the start" in summarize(replace(page, metrics=metrics)).forgetting
    assert summarize(unscored_page()).forgetting == "Whether the model has forgotten was not tested."


def test_counts_the_recognized_images_next_to_guessing() -> None:
    rate = {"value": 0.5, "low": 0.3, "high": 0.7, "chance": 1 / 24, "count": 24}
    sentence = summarize(graded(Grade.LEAKS, rates={"identification_top1": rate})).sentences[1]
    assert "12 of 24 forgotten images were recognized" in sentence
    assert "guessing would recognize about 1" in sentence
    guessed = {**rate, "low": 0.0}
    assert (
        "came closer" in summarize(graded(Grade.LEAKS, rates={"identification_top1": guessed})).sentences[1]
    )


def test_names_rows_and_gradients_by_their_everyday_words() -> None:
    verdict = VerdictMetrics(grade=Grade.INCONCLUSIVE, reasons=[])
    page = rows_page(evidence="gradients")
    page = rows_page(evidence="gradients", metrics=page.metrics.model_copy(update={"verdict": verdict}))
    assert "these gradients reveal the forgotten records" in summarize(page).sentences[0]


def test_without_the_forgotten_images_the_risk_is_unknown() -> None:
    summary = summarize(unscored_page())
    assert summary.risk is Risk.UNKNOWN
    assert "were not supplied" in summary.sentences[1]
    assert "--truth" in " ".join(summary.steps)
