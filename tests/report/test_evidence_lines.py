import pytest
from tests.support.evidence_pages import crowded_parts
from tests.support.forgetting_cases import GRADED, graded_forgetting
from tests.support.pages import make_metrics, row_metrics, unscored_metrics

from palimpsest.metrics import ForgettingGrade, Metrics
from palimpsest.report.evidence_lines import evidence_lines
from palimpsest.report.evidence_schema import EvidenceLine, LineFinding, Question


@pytest.fixture(scope="module")
def crowded() -> Metrics:
    return make_metrics(mse=0.02, top1=0.5, count=120, **crowded_parts())


def named(metrics: Metrics) -> dict[str, EvidenceLine]:
    return {line.test: line for line in evidence_lines(metrics, samples="images")}


def test_every_test_of_a_run_is_a_line(crowded: Metrics) -> None:
    lines = named(crowded)
    assert {name: line.finding.value for name, line in lines.items()} == {
        "Identified by their reconstruction": "found",
        "Mean squared error": "found",
        "Permutation test, p-value": "found",
        "Linked to their proofs among candidates": "found",
        "Positive control: identified": "attack works",
        "Undefended baseline: identified": "attack works",
        "Bound: linked to their proofs, at most": "limit",
        "Bound: mean squared error, at least": "limit",
        "Differential privacy, epsilon": "guarantee",
        "Accuracy on retained images": "information",
        "Accuracy on forgotten images": "information",
        "Accuracy on test images": "information",
        "Membership inference by loss, AUC": "information",
        "Membership inference by loss, TPR at 1 % FPR": "information",
        "Parameter distance to the retrained model": "information",
        "Proofs accepted by the norm check": "information",
        "Worst forgery, norm check, AUC": "missed",
        "Worst forgery, challenge check, AUC": "detected",
    }
    linked = lines["Linked to their proofs among candidates"]
    assert (linked.result.value, linked.result.interval) == (0.3, (0.2, 0.4))
    assert linked.comparisons["chance"].value == 1 / 120


def test_a_guess_an_unpaired_error_and_a_failed_control_find_nothing() -> None:
    parts = crowded_parts()
    parts["permutation_test"] |= {"p_value": 0.4, "p_value_within_class": 0.4}
    parts["positive_control"] |= {"passed": False}
    lines = named(make_metrics(mse=0.02, top1=1 / 120, count=120, **parts))
    for name in ("Identified by their reconstruction", "Mean squared error", "Permutation test, p-value"):
        assert lines[name].finding is LineFinding.NOT_FOUND
    assert lines["Positive control: identified"].finding is LineFinding.CONTROL_FAILED


@pytest.mark.parametrize(
    ("grade", "finding"),
    [
        (ForgettingGrade.NOT_FORGOTTEN, LineFinding.FOUND),
        (ForgettingGrade.NO_TRACE_FOUND, LineFinding.NOT_FOUND),
        (ForgettingGrade.INCONCLUSIVE, LineFinding.NOT_FOUND_BEFORE),
    ],
)
def test_further_tests_of_forgetting_become_lines(grade: ForgettingGrade, finding: LineFinding) -> None:
    row = graded_forgetting(*GRADED[grade], label="LiRA on forgotten samples, AUC", chance=0.5)
    metrics = unscored_metrics(forgetting_tests=[row.model_dump()])
    (line,) = [
        line for line in evidence_lines(metrics, samples="texts") if line.question is Question.FORGETTING
    ]
    assert line.test == "LiRA on forgotten texts, AUC"
    assert line.finding is finding
    assert line.result == row.unlearned
    assert list(line.comparisons) == ["before", "chance"]


def test_a_server_attack_has_the_recovered_labels() -> None:
    labels = {"value": 0.6, "low": 0.5, "high": 0.7, "chance": 0.2, "count": 20}
    line = named(unscored_metrics(verification=None, rates={"label_accuracy": labels}))["Labels recovered"]
    assert line.comparisons["most frequent class"].value == 0.2
    assert line.result.interval == (0.5, 0.7)


def test_rows_of_a_table_are_compared_with_a_constant_answer() -> None:
    line = named(row_metrics())["Mean squared error"]
    assert line.comparisons["constant answer"].value == 1.0
    assert (
        line.finding is LineFinding.NOT_FOUND
    )  # Without a permutation test, a class alone could explain it.
