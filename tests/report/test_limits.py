from typing import Any

import pytest
from tests.support.pages import FORGETTING, make_metrics, synthetic_report, unscored_page

from palimpsest.report.limits import damage, untested


def forgetting(before: float, after: float, **changes: Any) -> dict[str, Any]:
    models = {"original": before, "unlearned": after}
    tests = {model: FORGETTING[model] | {"test": value} for model, value in models.items()}
    return FORGETTING | tests | changes


def warned(before: float, after: float, **parts: Any) -> str:
    return damage(make_metrics(mse=0.1, top1=0.1, count=10, forgetting=forgetting(before, after), **parts))


def test_warns_of_lost_accuracy_on_samples_that_were_not_forgotten() -> None:
    warning = warned(0.827, 0.617)
    assert "from 82.7\N{NO-BREAK SPACE}% to 61.7\N{NO-BREAK SPACE}%" in warning
    assert "not forgetting" in warning


@pytest.mark.parametrize(("before", "after"), [(0.8, 0.8), (0.8, 0.79), (0.6, 0.9)])
def test_does_not_warn_of_small_changes_or_gains(before: float, after: float) -> None:
    assert warned(before, after) == ""


def test_does_not_warn_if_the_choice_of_samples_explains_the_loss() -> None:
    def rates(high: float) -> dict[str, Any]:
        return {
            "accuracy_test_original": {"value": 0.8, "low": 0.7, "high": 0.9, "chance": 0.1, "count": 10},
            "accuracy_test_unlearned": {"value": 0.6, "low": 0.4, "high": high, "chance": 0.1, "count": 10},
        }

    assert warned(0.8, 0.6, rates=rates(0.75)) == ""
    assert warned(0.8, 0.6, rates=rates(0.65)) != ""


def test_a_run_without_models_has_no_warning() -> None:
    assert damage(unscored_page().metrics) == ""


def test_lists_what_was_not_tested() -> None:
    listed = " ".join(untested(synthetic_report(12)))
    assert "Attacks other than igf." in listed
    assert "positive control" in listed
    assert "forged proofs" in listed
    assert "Whether the model has forgotten" not in listed
    assert "Whether the model has forgotten" in " ".join(untested(unscored_page()))


def test_names_the_attacks_of_a_portfolio_that_were_not_run() -> None:
    portfolio = [
        {"attack": "igf", "identified": 0.1},
        {"attack": "lti", "not_run": "It needs more memory."},
    ]
    listed = list(untested(synthetic_report(12, parts={"portfolio": portfolio})))
    assert "The attack lti: It needs more memory." in listed
    assert "Attacks other than igf." in listed
