from typing import Any

import pytest
from tests.support.pages import BOUNDS, rows_page, synthetic_report, unscored_page

from palimpsest.metrics import Grade, VerdictMetrics
from palimpsest.report import Risk, summarize
from palimpsest.report.summary import RISKS, RULES

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


def test_every_verdict_has_a_rule() -> None:
    assert set(RISKS) == set(Grade)
    assert set(RULES) == set(Risk) == set(RISKS.values())


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
