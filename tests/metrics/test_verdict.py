from typing import Any

import pytest
from tests.support.pages import BOUNDS, FORGETTING, metrics_tree, unscored_metrics

from palimpsest.metrics import Grade, Metrics, leak_level, reach_verdict

PASSED: dict[str, Any] = {
    "count": 64,
    "identified": 0.5,
    "interval": (0.37, 0.63),
    "chance": 1 / 64,
    "mse": 0.02,
    "mse_interval": (0.015, 0.025),
    "mean_image": 0.08,
    "passed": True,
}
FAILED = PASSED | {"identified": 0.0, "interval": (0.0, 0.06), "mse": 0.09, "passed": False}
LINKED = {
    "statistic": "imitation",
    "identified": 0.9,
    "found": [0.5, 0.6],
    "auc": 0.99,
    "chance": 0.01,
    "intervals": [[0.82, 0.95], [0.4, 0.6], [0.5, 0.7]],
}
UNLINKED = LINKED | {"identified": 0.01, "intervals": [[0.0003, 0.054], [0.0, 0.04], [0.0, 0.04]]}
PAIRED = {
    "matched": 0.02,
    "shuffled": 0.09,
    "p_value": 0.001,
    "shuffled_within_class": 0.05,
    "p_value_within_class": 0.001,
    "permutations": 999,
}
UNPAIRED = PAIRED | {"p_value": 0.4, "p_value_within_class": 0.5}
CLASS_ONLY = PAIRED | {"p_value_within_class": 0.5}
LEARNED = {"epochs": 4, "best_epoch": 3, "first_loss": 0.1, "last_loss": 0.01, "validation_mse": 0.02}
ACCURATE = {"accuracy_test_original": {"value": 0.9, "low": 0.85, "high": 0.94, "chance": 0.1, "count": 200}}
GUESSING = {"accuracy_test_original": {"value": 0.11, "low": 0.07, "high": 0.16, "chance": 0.1, "count": 200}}
LOOSE = {**BOUNDS, "identification": {"candidates": 120, "chance": 1 / 120, "candidate_bound": 0.9}}
BASELINE = {
    "identified": 0.5,
    "interval": (0.4, 0.6),
    "chance": 0.01,
    "mse": 0.02,
    "mean_image": 0.08,
    "passed": True,
}
WORSE = {"prior": "start", "mse": 0.06, "difference": 0.04, "interval": (0.03, 0.05), "failed": True}
FOUND_NOTHING: dict[str, Any] = {
    "mse": 0.1,
    "top1": 0.01,
    "count": 100,
    "positive_control": PASSED,
    "training": LEARNED,
    "linkage": UNLINKED,
    "permutation_test": UNPAIRED,
    "rates": ACCURATE,
}


def member(**changes: Any) -> dict[str, Any]:
    return {"attack": "igf-plus", "identified": 0.01, "interval": (0.0, 0.05), **changes}


def metrics(**changes: Any) -> Metrics:
    return Metrics.model_validate(metrics_tree(**FOUND_NOTHING | changes))


@pytest.mark.parametrize(
    ("changes", "grade", "reason"),
    [
        ({}, Grade.NO_LEAK_FOUND, "identifies 50.0% of 64"),
        # Leaks: identification, or closeness to the own original.
        ({"top1": 0.05}, Grade.LEAKS, "identifies 5 of 100"),
        ({"top1": 0.03}, Grade.NO_LEAK_FOUND, ""),
        ({"mse": 0.02, "permutation_test": PAIRED}, Grade.LEAKS, "closer to the originals"),
        ({"top1": 0.05, "positive_control": FAILED}, Grade.LEAKS, "identifies 5"),
        ({"top1": 0.05, "rates": GUESSING}, Grade.LEAKS, "which includes chance"),
        # A reconstruction of the class, or a shuffled one, is no leak of the sample by its error.
        ({"mse": 0.02, "permutation_test": UNPAIRED}, Grade.NO_LEAK_FOUND, ""),
        ({"mse": 0.02, "permutation_test": CLASS_ONLY}, Grade.LEAKS_TO_CANDIDATE_HOLDERS, "permutation test"),
        # Candidates.
        ({"linkage": LINKED}, Grade.LEAKS_TO_CANDIDATE_HOLDERS, "links 90.0% of the proofs"),
        ({"permutation_test": PAIRED}, Grade.LEAKS_TO_CANDIDATE_HOLDERS, "permutation test"),
        ({"linkage": LINKED, "positive_control": FAILED}, Grade.LEAKS_TO_CANDIDATE_HOLDERS, "control failed"),
        # Inconclusive.
        ({"positive_control": None}, Grade.INCONCLUSIVE, "No positive control"),
        ({"positive_control": FAILED}, Grade.INCONCLUSIVE, "positive control failed"),
        ({"training": LEARNED | {"last_loss": 0.1}}, Grade.INCONCLUSIVE, "did not learn"),
        ({"rates": GUESSING}, Grade.INCONCLUSIVE, "includes chance (10.0%)"),
        ({"undefended_baseline": BASELINE | {"passed": False}}, Grade.INCONCLUSIVE, "before the defenses"),
        ({"undefended_baseline": BASELINE}, Grade.NO_LEAK_FOUND, ""),
        ({"prior_comparison": WORSE}, Grade.INCONCLUSIVE, "worse than its prior, this is not protection"),
        ({"prior_comparison": WORSE, "linkage": LINKED}, Grade.LEAKS_TO_CANDIDATE_HOLDERS, "Failed attack"),
        ({"prior_comparison": WORSE | {"failed": False}}, Grade.NO_LEAK_FOUND, ""),
        # Bounds that limit every attack make a positive control unnecessary; other bounds are only named.
        ({"bounds": BOUNDS, "positive_control": FAILED}, Grade.NO_LEAK_FOUND, "No other attack could either"),
        ({"bounds": BOUNDS, "positive_control": None}, Grade.NO_LEAK_FOUND, "links more than 2.6%"),
        ({"bounds": LOOSE, "positive_control": FAILED}, Grade.INCONCLUSIVE, "links more than 90.0%"),
        ({"bounds": {"reason": "no bound: why"}}, Grade.NO_LEAK_FOUND, "No bound: why."),
        ({"bounds": BOUNDS, "rates": GUESSING}, Grade.INCONCLUSIVE, "includes chance (10.0%)"),
        ({"bounds": BOUNDS, "linkage": LINKED}, Grade.LEAKS_TO_CANDIDATE_HOLDERS, "links more than 2.6%"),
        ({"bounds": BOUNDS, "top1": 0.05}, Grade.LEAKS, "links more than 2.6%"),
        (
            {"undefended_baseline": BASELINE, "positive_control": FAILED},
            Grade.INCONCLUSIVE,
            "An effective defense looks like this",
        ),
        (
            {"portfolio": [member(), member(out_of_time=True, not_run="no time left.")]},
            Grade.INCONCLUSIVE,
            "no time left",
        ),
        ({"portfolio": [member(), member(not_run="it does not apply.")]}, Grade.NO_LEAK_FOUND, ""),
        # A leak would have been found by the member whose control passed.
        (
            {"positive_control": FAILED, "portfolio": [member(positive_control=PASSED)]},
            Grade.NO_LEAK_FOUND,
            "",
        ),
    ],
)
def test_rules(changes: dict[str, Any], grade: Grade, reason: str) -> None:
    verdict = reach_verdict(metrics(**changes))
    assert verdict.grade is grade
    assert verdict.reasons
    assert reason in " ".join(verdict.reasons)


def test_unknown_truth_is_inconclusive_and_the_control_says_what_to_expect() -> None:
    verdict = reach_verdict(unscored_metrics(positive_control=PASSED))
    assert verdict.grade is Grade.INCONCLUSIVE
    assert "unknown" in verdict.reasons[0]
    assert "Expect the same of the proofs" in verdict.reasons[1]


def test_a_single_sample_leaks_by_its_error() -> None:
    one = {"count": 1, "top1": 1.0, "permutation_test": None, "linkage": None}
    assert reach_verdict(metrics(**one, mse=0.02)).grade is Grade.LEAKS
    assert reach_verdict(metrics(**one, mse=0.1)).grade is Grade.NO_LEAK_FOUND


def test_the_best_of_several_attacks_needs_stronger_evidence() -> None:
    several = [member(), member(), member(attack="linkage"), {"attack": "igf", "not_run": "no."}]
    assert leak_level(metrics()) == 0.05
    assert leak_level(metrics(portfolio=several)) == 0.025
    # 5 of 100 has the lower end 1.64 % at 95 %, and 1.45 % at 97.5 %.
    chance = {"identification_top1": 0.0155, "identification_top5": 0.05}
    assert reach_verdict(metrics(top1=0.05, chance=chance)).grade is Grade.LEAKS
    assert reach_verdict(metrics(top1=0.05, chance=chance, portfolio=several)).grade is Grade.NO_LEAK_FOUND


def test_accuracy_is_judged_by_its_rate_alone() -> None:
    assert reach_verdict(metrics(forgetting=FORGETTING, rates={})).grade is Grade.NO_LEAK_FOUND
