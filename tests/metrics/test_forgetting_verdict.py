from dataclasses import replace

import pytest
from tests.support.forgetting_cases import GRADED, graded_forgetting
from tests.support.pages import make_metrics, unscored_metrics

from palimpsest.metrics import ForgettingGrade, ForgettingTest, forgetting_table, judge_forgetting


def judged(*tests: ForgettingTest) -> ForgettingGrade:
    metrics = make_metrics(mse=0.1, top1=0.1, count=20)
    return judge_forgetting(metrics.model_copy(update={"forgetting_tests": list(tests)})).grade


@pytest.mark.parametrize("grade", ForgettingGrade)
def test_reaches_each_verdict(grade: ForgettingGrade) -> None:
    assert judged(graded_forgetting(*GRADED[grade])) is grade


def test_the_worst_test_decides() -> None:
    cases = {grade: graded_forgetting(*ends) for grade, ends in GRADED.items()}
    assert judged(*cases.values()) is ForgettingGrade.NOT_FORGOTTEN
    cases.pop(ForgettingGrade.NOT_FORGOTTEN)
    assert judged(*cases.values()) is ForgettingGrade.TRACES_REMAIN
    cases.pop(ForgettingGrade.TRACES_REMAIN)
    assert judged(*cases.values()) is ForgettingGrade.NO_TRACE_FOUND


def test_samples_that_stand_out_by_a_higher_loss_are_not_forgotten() -> None:
    assert judged(graded_forgetting((0.7, 0.8), (0.1, 0.3))) is ForgettingGrade.NOT_FORGOTTEN


def test_a_trace_without_a_value_of_the_original_model_counts_in_full() -> None:
    test = graded_forgetting(*GRADED[ForgettingGrade.TRACES_REMAIN]).model_copy(update={"original": None})
    assert judged(test) is ForgettingGrade.NOT_FORGOTTEN


def test_a_test_for_information_decides_nothing() -> None:
    leaking = graded_forgetting((0.7, 0.8), (0.7, 0.8), expected=None)
    assert judged(leaking) is ForgettingGrade.INCONCLUSIVE


def test_a_model_equal_to_the_retrained_one_has_forgotten_whatever_the_tests_find() -> None:
    metrics = make_metrics(mse=0.1, top1=0.1, count=20)
    assert metrics.forgetting is not None
    assert metrics.forgetting.distance is not None
    exact = replace(metrics.forgetting, distance=replace(metrics.forgetting.distance, absolute=0.0))
    tests = [graded_forgetting(*GRADED[ForgettingGrade.NOT_FORGOTTEN])]
    verdict = judge_forgetting(metrics.model_copy(update={"forgetting": exact, "forgetting_tests": tests}))
    assert verdict.exact
    assert verdict.grade is ForgettingGrade.NO_TRACE_FOUND


def test_the_reasons_give_both_models_and_the_range() -> None:
    metrics = make_metrics(mse=0.1, top1=0.1, count=20)
    tests = [graded_forgetting(*GRADED[ForgettingGrade.TRACES_REMAIN], label="LiRA, AUC")]
    (reason,) = judge_forgetting(metrics.model_copy(update={"forgetting_tests": tests})).reasons
    assert reason == (
        "LiRA, AUC: 0.75 (0.7 to 0.8) before and 0.6 (0.55 to 0.65) after unlearning (95 % interval). A model without "
        "the forgotten samples shows 0.5 to 0.5."
    )


def test_pages_of_earlier_versions_get_the_rows_from_their_measurements() -> None:
    names = [test.name for test in forgetting_table(make_metrics(mse=0.1, top1=0.1, count=20))]
    assert {"loss-auc", "loss-tpr", "accuracy-forgotten"} <= set(names)
    assert forgetting_table(unscored_metrics()) == []
    assert judge_forgetting(unscored_metrics()).grade is ForgettingGrade.INCONCLUSIVE
