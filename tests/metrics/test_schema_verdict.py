from tests.metrics.test_verdict import PASSED, member
from tests.support.pages import make_metrics

from palimpsest.metrics import Grade, Metrics, reach_verdict


def test_the_verdict_and_its_evidence_survive_json() -> None:
    metrics = make_metrics(
        mse=0.1, top1=0.01, count=100, positive_control=PASSED, portfolio=[member(positive_control=PASSED)]
    )
    metrics = metrics.model_copy(update={"verdict": reach_verdict(metrics)})
    restored = Metrics.model_validate(metrics.tree())
    assert restored == metrics
    assert restored.verdict is not None
    assert restored.verdict.grade is Grade.NO_LEAK_FOUND
    assert metrics.tree()["verdict"]["grade"] == "no leak found"


def test_the_four_grades_are_ordered_from_the_worst() -> None:
    assert [grade.value for grade in Grade] == [
        "leaks",
        "leaks to candidate holders",
        "no leak found",
        "inconclusive",
    ]
