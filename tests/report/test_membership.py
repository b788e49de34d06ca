from typing import Any

import torch
from tests.support.evidence import made_up

from palimpsest.membership import TESTS, Assessment, assess
from palimpsest.metrics import Metrics
from palimpsest.pipeline.results.membership import membership_curves, membership_metrics
from palimpsest.report.membership import TITLES, membership_plots, membership_rows, membership_sentences
from palimpsest.unlearning import Unlearning


def assessed(**settings: Any) -> tuple[Assessment, Metrics]:
    evidence = made_up(**{"forgotten": 120, "retained": 120, "shadows": 8, "population": 50, **settings})
    rows = torch.arange(120)
    assessment = assess(evidence, forgotten=rows, retained=rows)
    unlearned = Unlearning({}, rows, torch.zeros(120, dtype=torch.int64), {}, [], {}, [])
    return assessment, Metrics(attack={}, seconds={}, membership=membership_metrics(assessment, unlearned))


def test_every_test_has_a_title():
    assert TITLES.keys() == TESTS.keys()


def test_a_row_for_each_test_and_group():
    rows = membership_rows(assessed(memory=2.0, remains=2.0)[1])
    assert [row.group for row in rows] == ["forgotten"] * len(TESTS) + ["retained"] * len(TESTS)
    lira, u_lira = (next(row for row in rows if row.title == TITLES[name]) for name in ("lira", "u-lira"))
    assert float(lira.cells[0][0]) > 0.9
    assert u_lira.cells[0] == ("", "")
    assert u_lira.cells[2][0].endswith("%")
    assert u_lira.cells[3] == ("not measurable", "needs 1,000 others")


def test_plain_words_say_who_can_distinguish_what():
    kept = membership_sentences(assessed(memory=2.0, remains=2.0)[1], "images")
    assert "whoever holds the unlearned model can distinguish forgotten images" in kept[0]
    gone = membership_sentences(assessed(memory=2.0, remains=0.0)[1], "images")
    assert "whoever holds the unlearned model could not distinguish forgotten images" in gone[0]
    assert "before and after unlearning can distinguish forgotten images" in gone[1]
    assert "whoever also holds the proofs can distinguish forgotten images" in gone[2]
    assert "does not measurably expose the retained images" in gone[3]


def test_without_a_comparison_with_proofs_the_words_point_to_the_linkage_attack():
    _, metrics = assessed(memory=2.0, remains=0.0)
    assert metrics.membership is not None
    tests = [test for test in metrics.membership.tests if test.needs != "proofs"]
    without = metrics.model_copy(
        update={"membership": metrics.membership.model_copy(update={"tests": tests})}
    )
    assert "linkage attack" in membership_sentences(without, "images")[2]


def test_without_shadow_federations_the_words_say_what_is_missing():
    (sentence,) = membership_sentences(Metrics(attack={}, seconds={}), "images")
    assert "membership.shadows" in sentence
    assert membership_rows(Metrics(attack={}, seconds={})) == []
    assert membership_plots({}) == []


def test_curves_are_drawn_on_logarithmic_axes():
    (plot,) = membership_plots(membership_curves(assessed(memory=1.0)[0]))
    assert "ROC curves of 4 membership tests" in plot.svg
    assert TITLES["u-lira"] in plot.svg
