import torch
from tests.support.evidence import made_up

from palimpsest.membership import Assessment, assess
from palimpsest.metrics.roc import RATES
from palimpsest.pipeline.results.membership import (
    membership_curves,
    membership_forgetting_tests,
    membership_metrics,
)
from palimpsest.unlearning import Unlearning


def results() -> tuple[Assessment, Unlearning]:
    evidence = made_up(forgotten=120, retained=20, shadows=4, population=20, memory=2.0, remains=2.0)
    rows = torch.arange(500, 620)
    forgotten = rows.flip(0)
    unlearned = Unlearning({}, forgotten, torch.zeros(120, dtype=torch.int64), {}, [], {}, [])
    return assess(evidence, forgotten=rows, retained=torch.arange(20)), unlearned


def test_metrics_have_every_test_with_its_interval_and_rates():
    assessment, unlearned = results()
    metrics = membership_metrics(assessment, unlearned)
    assert (metrics.shadows, metrics.pairs) == (4, {"forgotten": 120, "retained": 20})
    assert len(metrics.tests) == len(assessment.results)
    test = metrics.find("u-lira", "forgotten", "unlearned")
    assert test is not None
    assert test.auc.low < test.auc.value < test.auc.high
    assert test.needs == "unlearned shadows"
    assert [detection.rate for detection in test.detections] == list(RATES)
    assert test.detections[0].found is not None
    assert test.detections[1].found is None


def test_the_most_exposed_samples_are_numbered_in_the_order_of_the_request():
    assessment, unlearned = results()
    found = assessment.find("u-lira", "forgotten", "unlearned")
    assert found is not None
    best = assessment.forgotten[found.members.argmax()]
    exposed = membership_metrics(assessment, unlearned).exposed
    assert unlearned.forgotten[exposed[0]] == best
    assert len(set(exposed)) == 10


def test_curves_are_those_after_unlearning():
    assessment, _ = results()
    curves = membership_curves(assessment)
    found = assessment.find("u-lira", "forgotten", "unlearned")
    assert found is not None
    assert torch.equal(curves["u-lira"][:, 1], found.roc.true_positives)
    assert curves["yeom"][-1].tolist() == [1.0, 1.0]


def test_the_table_of_forgetting_has_the_tests_of_one_model_as_decisive_rows():
    rows = {row.name: row for row in membership_forgetting_tests(membership_metrics(*results()))}
    assert list(rows) == ["lira-auc", "rmia-auc", "u-lira-auc", "update-lira-auc"]
    for name in ("lira-auc", "rmia-auc", "u-lira-auc"):
        assert rows[name].finds(rows[name].unlearned) is True, "these models remember all that they learned"
        assert rows[name].finds(rows[name].original) is True
        assert rows[name].count == 120
    both = rows["update-lira-auc"]
    assert both.finds(both.unlearned) is None
    assert both.original is None
