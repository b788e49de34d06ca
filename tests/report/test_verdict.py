from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from tests.support.pages import BOUNDS, FORGETTING, make_metrics, unscored_page
from torch import Tensor

from palimpsest.metrics import Grade, binomial_interval
from palimpsest.report import Level, Verdict, judge

TEN_CLASSES = torch.arange(1000) % 10


def verdict_of(
    *,
    labels: Tensor = TEN_CLASSES,
    owners: Tensor | None = None,
    parts: dict[str, Any] | None = None,
    **numbers: Any,
) -> Verdict:
    """The verdict on a page with one image for each label; the pixels do not matter."""
    metrics = make_metrics(**numbers, **{"federation": None, "forgetting": None, **(parts or {})})
    images = torch.zeros(len(labels), 1, 2, 2)
    return judge(unscored_page(len(labels), metrics=metrics, originals=images, labels=labels, owners=owners))


def test_findings_state_their_numbers():
    verdict = verdict_of(mse=0.0211, top1=0.812, count=1000)
    assert verdict.findings[0].startswith(
        "812 of 1,000 forgotten images can be identified by their reconstruction (81.2\N{NO-BREAK SPACE}%"
    )
    assert verdict.findings[0].endswith(
        "A random guess would identify 1, and a guess within the correct class 10."
    )
    assert "0.0211" in verdict.findings[1]
    assert "gives 0.08: the reconstructions are closer to the originals." in verdict.findings[1]


@pytest.mark.parametrize(
    ("mse", "top1", "level"),
    [
        (0.02, 0.8, Level.RECOVERED),
        (0.12, 0.8, Level.IDENTIFIED),
        (0.02, 0.012, Level.TRACES),  # above chance, but within what ten classes explain
        (0.02, 0.001, Level.TRACES),  # closer than the mean image, but not identified
        (0.12, 0.012, Level.TRACES),
        (0.12, 0.001, Level.NOT_RECOVERED),
        (0.08, 0.002, Level.NOT_RECOVERED),  # both intervals hold the baseline
    ],
)
def test_level_follows_chance_class_and_mean_image(mse, top1, level):
    assert verdict_of(mse=mse, top1=top1, count=1000).level is level


def test_failed_attack_is_not_called_protection():
    verdict = verdict_of(mse=0.12, top1=0.001, count=1000)
    assert verdict.headline == (
        "Inconclusive. This attack did not recover the forgotten images. That is no proof of safety."
    )
    text = " ".join((verdict.headline, *verdict.findings)).lower()
    for claim in ("protected", "protects", "is safe", "is private", "secure"):
        assert claim not in text
    assert any("Another attack" in finding for finding in verdict.findings)


def test_a_failed_attack_says_whether_bounds_limit_all_others():
    limited = verdict_of(mse=0.09, top1=0.01, count=120, parts={"bounds": BOUNDS})
    assert any("the bounds limit them all" in finding for finding in limited.findings)
    assert not any("sets no upper bound" in finding for finding in limited.findings)
    without = verdict_of(mse=0.09, top1=0.01, count=120)
    assert any("sets no upper bound" in finding for finding in without.findings)


def test_an_attack_worse_than_its_prior_has_failed():
    worse = {"prior": "start", "mse": 0.06, "difference": 0.06, "interval": (0.05, 0.07), "failed": True}
    verdict = verdict_of(mse=0.12, top1=0.001, count=1000, prior_comparison=worse)
    assert verdict.headline == "Inconclusive. Failed attack: worse than its prior, this is not protection."
    assert any(
        "0.06 above that of the images that it started from" in finding for finding in verdict.findings
    )


def test_one_image_per_class_is_not_identified_beyond_its_class():
    verdict = verdict_of(mse=0.12, top1=1.0, count=10, labels=torch.arange(10))
    assert verdict.level is Level.TRACES
    assert "no more than the class explains" in verdict.findings[0]


def test_single_class_has_no_separate_class_chance():
    verdict = verdict_of(mse=0.02, top1=0.5, count=100, labels=torch.ones(100))
    assert "class" not in verdict.findings[0]
    assert verdict.level is Level.RECOVERED


def test_single_image_is_not_identified():
    verdict = verdict_of(mse=0.12, top1=1.0, count=1, labels=torch.zeros(1))
    assert verdict.findings[1] == (
        "Only one image was forgotten, so there is no other image to distinguish it from."
    )
    assert verdict.level is Level.NOT_RECOVERED


@pytest.mark.parametrize(
    ("mse", "words"),
    [(0.02, "are closer to"), (0.12, "are farther from"), (0.08, "no significant difference")],
)
def test_compares_the_interval_with_the_mean_image(mse, words):
    assert words in verdict_of(mse=mse, top1=0.5, count=1000).findings[1]


def test_acceptance_is_not_called_proof_of_unlearning():
    findings = verdict_of(mse=0.02, top1=0.5, count=1000).findings
    verification = next(finding for finding in findings if "verifier" in finding)
    assert "accepted 996 of 1,000 proofs (norm at most tau = 3.2)" in verification
    assert "a proof of zeros" in verification


def test_names_forgetting_clients_that_never_took_part():
    owners = torch.arange(1000) % 3

    def findings(participation: list[int]) -> str:
        trained = {"original_accuracy": 1.0, "unlearned_accuracy": 1.0, "faults": 0}
        parts = {"federation": trained | {"participation": participation}}
        return str(verdict_of(mse=0.02, top1=0.5, count=1000, owners=owners, parts=parts))

    assert "No training round used" not in findings([1, 1, 1, 0])
    assert "No training round used a reply of client 1. These" in findings([1, 0, 1, 1])
    assert "No training round used a reply of 2 clients that forget (0, 1). These" in findings([0, 0, 1, 1])


def test_reports_accuracy_before_and_after_unlearning():
    without = verdict_of(mse=0.02, top1=0.5, count=1000)
    assert "classified" not in str(without)
    verdict = verdict_of(mse=0.02, top1=0.5, count=1000, parts={"forgetting": FORGETTING})
    assert "99.2\N{NO-BREAK SPACE}% of the forgotten images correctly before" in verdict.findings[-1]
    assert (
        "which it never saw, its accuracy was 96.8\N{NO-BREAK SPACE}% before and 95.5" in verdict.findings[-1]
    )


def test_unscored_attack_has_no_claims():
    verdict = judge(unscored_page(3))
    assert verdict.level is Level.NOT_SCORED
    assert verdict.identification is None
    assert "3 proofs were turned into images." in verdict.headline
    assert verdict.grade is Grade.INCONCLUSIVE
    assert "forgotten samples are unknown" in verdict.findings[0]
    assert "accepted 2 of them" in verdict.findings[-1]


@given(st.integers(1, 60).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_interval_leaves_2_5_percent_on_each_side(sample):
    successes, trials = sample
    lower, upper = binomial_interval(successes, trials)
    assert 0 <= lower <= successes / trials <= upper <= 1
    if successes:
        assert binom.sf(successes - 1, trials, lower) == pytest.approx(0.025)
    if successes < trials:
        assert binom.cdf(successes, trials, upper) == pytest.approx(0.025)


def test_interval_of_zero_and_all_successes_reaches_the_end():
    assert binomial_interval(0, 10)[0] == 0
    assert binomial_interval(10, 10)[1] == 1
