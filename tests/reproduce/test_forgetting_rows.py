import pytest
from tests.support.forgetting import measured

from palimpsest.metrics import binomial_interval
from palimpsest.reproduce.forgetting_rows import ORIGINAL, make_row


def test_numbers_are_means_over_seeds_with_intervals():
    runs = {1: measured(accuracy=0.4, seconds=1.0), 2: measured(accuracy=0.6, seconds=3.0)}
    row = make_row("here", "ascent", runs, seconds={1: 2.0, 2: 2.0})
    accuracy = row.numbers["test"]
    assert (accuracy.mean, accuracy.values) == (0.5, (0.4, 0.6))
    assert (accuracy.low, accuracy.high) == (0.0, 1.0), "intervals of shares end at 0 and 1"
    assert row.numbers["seconds"].mean == 2.0
    assert row.numbers["relative seconds"].values == (0.5, 1.5)
    assert row.numbers["relative distance"].mean == 0.5
    assert row.seeds == (1, 2)


def test_equal_shares_have_their_interval_over_samples():
    one = measured(accuracy=1.0)
    row = make_row("here", "ascent", {1: one, 2: one}, seconds={1: 1.0, 2: 1.0})
    accuracy, area, agreement = (
        row.numbers[name] for name in ("forgotten", "forgotten lira AUC", "agreement")
    )
    assert (accuracy.low, accuracy.high) == binomial_interval(100, 100)
    assert area.low is not None
    assert area.low < area.mean
    assert (agreement.low, agreement.high) == binomial_interval(180, 200)
    assert row.numbers["divergence"].low is None


def test_membership_is_that_of_the_unlearned_model():
    row = make_row("here", "ascent", {1: measured(memory=3.0, remains=0.0)}, seconds={1: 1.0})
    assert row.numbers["forgotten u-lira AUC"].mean == pytest.approx(0.5, abs=0.15)
    assert row.numbers["retained lira AUC"].mean > 0.9
    before = make_row("here", ORIGINAL, {1: measured(memory=3.0, remains=0.0)}, seconds={1: 1.0})
    assert before.numbers["forgotten lira AUC"].mean > 0.9
    assert "forgotten u-lira AUC" not in before.numbers
    assert "seconds" not in before.numbers


def test_detections_pool_the_samples_of_all_seeds():
    one = measured(memory=3.0)
    row = make_row("here", ORIGINAL, dict.fromkeys(range(10), one), seconds=dict.fromkeys(range(10), 1.0))
    at_one_percent, at_one_per_mille = row.detections["lira"]
    assert at_one_percent.found is not None
    assert at_one_percent.found.count == 1000
    assert at_one_per_mille.found is not None
    alone = make_row("here", ORIGINAL, {1: one}, seconds={1: 1.0})
    assert alone.detections["lira"][1].found is None


def test_the_most_exposed_samples_are_rows_of_the_training_images():
    one = measured(memory=3.0, remains=3.0)
    row = make_row("here", "ascent", {1: one}, seconds={1: 1.0})
    found = one.assessment.find("u-lira", "forgotten", "unlearned")
    assert found is not None
    assert row.exposed[0] == 100 + int(found.members.argmax())
    assert len(row.exposed) == 10


def test_a_row_without_runs_has_its_reason():
    row = make_row("here", "ascent", {}, seconds={}, failure="It diverged.")
    assert (row.seeds, row.numbers, row.failure) == ((), {}, "It diverged.")
