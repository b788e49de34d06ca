import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from palimpsest.metrics import Metrics, Reading
from palimpsest.reproduce import Cell, Study
from palimpsest.reproduce.published import Published
from palimpsest.reproduce.study import Column
from palimpsest.reproduce.summary import as_json, estimate, markdown, share_estimate, summarize

CELL = Cell("the-cell", "digits", {}, Published(0.02, 17.0, 0.3))
STUDY = Study("study", "A title", "A source", lambda: [CELL], notes=("A note.",))


def metrics(mse: float, lpips: float | None = 0.25, top1: float = 0.5) -> Metrics:
    scores: dict[str, float] = {
        "mse": mse,
        "psnr": 17.5,
        "ssim": 0.4,
        "identification_top1": top1,
        "identification_top5": 1.0,
        "count": 1000,
    }
    if lpips is not None:
        scores["lpips"] = lpips
    tree = {"reconstruction": scores, "attack": {"features": 433.0}, "seconds": {"a": 1.0, "b": 2.0}}
    return Metrics.model_validate(tree)


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=8).filter(lambda values: max(values) - min(values) > 1e-6)
)
def test_the_interval_is_students_t(values: list[float]) -> None:
    ours = estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, sum(values) / len(values), stats.sem(values))
    assert ours.low == pytest.approx(low, abs=1e-9)
    assert ours.high == pytest.approx(high, abs=1e-9)


def test_the_interval_of_a_share_is_clipped() -> None:
    runs = {seed: metrics(0.02, top1=share) for seed, share in ((1, 0.0), (2, 0.02))}
    top = summarize(CELL, runs).scores["identification_top1"]
    assert top.low == 0
    assert top.high is not None
    assert 0.02 < top.high < 0.2


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5]])
def test_one_seed_and_equal_seeds_have_no_interval(values: list[float]) -> None:
    ours = estimate(values)
    assert (ours.mean, ours.low, ours.high) == (0.5, None, None)


def test_equal_shares_have_the_interval_over_the_samples_of_a_run() -> None:
    found = share_estimate([1.0, 1.0, 1.0], [(0.9, 1.0), (0.8, 1.0), (0.95, 1.0)])
    assert (found.mean, found.low, found.high) == (1.0, 0.8, 1.0)
    assert share_estimate([1.0, 1.0], [(0.9, 1.0), None]).low is None
    assert share_estimate([1.0], [(0.9, 1.0)]).low == 0.9
    # Shares that differ keep the interval over seeds, clipped to [0, 1].
    found = share_estimate([0.9, 1.0], [(0.9, 1.0), (0.9, 1.0)])
    assert found.low is not None
    assert (found.low < 0.9, found.high) == (True, 1.0)


def test_equal_areas_and_shares_of_a_study_have_a_width() -> None:
    def read(_: Metrics) -> Reading:
        return Reading(1.0, (0.7, 1.0))

    columns = [
        Column("area", read, ".2f", area=True),
        Column("share", read, ".1%"),
        Column("error", read, ".2f"),
    ]
    found = summarize(CELL, {1: metrics(0.02), 2: metrics(0.02)}, columns=columns).columns
    assert (found["area"].low, found["share"].low, found["error"].low) == (0.7, 0.7, None)
    alone = summarize(CELL, {1: metrics(0.02)}, columns=columns).columns
    assert {name: estimate.low for name, estimate in alone.items()} == dict.fromkeys(alone, 0.7)


def test_the_caption_says_what_the_brackets_are_over() -> None:
    one = markdown(STUDY, [summarize(CELL, {1: metrics(0.02)})], "")
    two = markdown(STUDY, [summarize(CELL, {1: metrics(0.02), 2: metrics(0.03)})], "")
    assert "over the samples of one run, not over seeds" in one
    assert "over seeds (Student's t)" in two


@pytest.mark.parametrize(("errors", "reached"), [((0.019, 0.020), "yes"), ((0.019, 0.022), "no")])
def test_the_table_compares_the_mean_with_the_published_error(
    errors: tuple[float, float], reached: str
) -> None:
    summary = summarize(CELL, {seed: metrics(error) for seed, error in enumerate(errors)})
    table = markdown(STUDY, [summary], "palimpsest reproduce study")
    row = next(line for line in table.splitlines() if line.startswith("| the-cell"))
    assert f"| 0.0200, 17.00, 0.300 | {reached} |" in row
    assert f"{sum(errors) / 2:.4f} (" in row
    assert "| 1,000 | 3 |" in row
    assert "palimpsest reproduce study" in table
    assert "A note." in table
    widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_a_score_missing_for_one_seed_is_absent() -> None:
    summary = summarize(CELL, {1: metrics(0.02), 2: metrics(0.02, lpips=None)})
    assert "lpips" not in summary.scores
    assert "| absent |" in markdown(STUDY, [summary], "")


def test_a_failed_cell_shows_the_reason() -> None:
    failed = summarize(CELL, {}, "There is no data: fetch it.")
    assert "| the-cell | There is no data: fetch it. |" in markdown(STUDY, [failed], "")
    half = summarize(CELL, {1: metrics(0.02)}, "The disk is full.")
    assert "the-cell is missing a seed: The disk is full." in markdown(STUDY, [half], "")


def test_lengths_are_shown_next_to_published_ones() -> None:
    cell = replace(CELL, published=None, size=269_722)
    table = markdown(STUDY, [summarize(cell, {1: metrics(0.02)})], "")
    assert "| the-cell | 269,722 | 433 |" in table


def test_the_json_keeps_all_digits() -> None:
    summary = summarize(CELL, {7: metrics(0.0123456789)})
    tree = json.loads(json.dumps(as_json(STUDY, [summary])))
    assert tree["cells"][0]["scores"]["mse"]["mean"] == 0.0123456789
    assert tree["cells"][0]["seeds"] == [7]
    assert tree["cells"][0]["published"]["psnr"] == 17.0


def test_a_small_error_is_not_printed_as_zeros() -> None:
    table = markdown(STUDY, [summarize(CELL, {1: metrics(1.06e-5), 2: metrics(1.06e-5)})], "command")
    assert "| 1.1e-05 |" in table
    assert "| 0.0000" not in table
