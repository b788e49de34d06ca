"""The study of noise on tiny data, and its conclusions."""

from pathlib import Path

import pytest
from tests.reproduce.test_dragd import tiny

from palimpsest.reproduce import reproduce
from palimpsest.reproduce.privacy_noise import STUDIES, _conclude
from palimpsest.reproduce.study import Cell
from palimpsest.reproduce.summary import Summary, estimate

STUDY = STUDIES["dragd-privacy-noise"]


def test_the_grid_has_each_strength_with_each_treatment() -> None:
    configs = {cell.name: cell.config({}, seed=1) for cell in STUDY.cells()}
    assert len(configs) == 1 + 5 * 3
    assert configs["none"].defenses == ()
    noisy = configs["epsilon-10000-map"]
    assert noisy.defenses[0].build().epsilon == 1e4
    assert noisy.attack.build().noise == "map"


def test_the_table_compares_each_row_with_its_prior(tmp_path: Path) -> None:
    names = ["none", "epsilon-8-ignored", "epsilon-8-map"]
    clean, ignored, known = reproduce(tiny(STUDY), out=tmp_path, cells=names, seeds=(1, 2))
    assert [summary.failure for summary in (clean, ignored, known)] == [""] * 3
    for summary in (clean, ignored, known):
        added = summary.columns["MSE minus prior"].mean
        assert added == pytest.approx(summary.scores["mse"].mean - summary.columns["prior alone: MSE"].mean)
    assert ignored.facts["noise_ignored"] == known.facts["noise_map"] == clean.facts["noise_ignored"] == 1
    assert known.scores["mse"].mean < ignored.scores["mse"].mean
    table = (tmp_path / "dragd-privacy-noise.md").read_text()
    assert "epsilon-8-map: the MSE minus that of the prior is " in table
    assert "epsilon-8: the MSE of map minus that of ignored is " in table


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.2, 0.21, 0.2], "Failed attack: worse than its prior, this is not protection."),
        ([-0.2, -0.21, -0.2], "Closer than its prior."),
        ([-0.2, 0.2, 0.1], "Not distinguishable from its prior."),
    ],
)
def test_conclusions_follow_from_the_difference_to_the_prior(values: list[float], words: str) -> None:
    (sentence,) = _conclude([row("epsilon-8-map", values)])
    assert sentence.startswith("epsilon-8-map: the MSE minus that of the prior is ")
    assert sentence.endswith(words)
    (single,) = _conclude([row("epsilon-8-map", values[:1])])
    assert single.endswith("(one seed).")


def test_knowing_the_noise_is_compared_with_ignoring_it() -> None:
    known, ignored = row("epsilon-8-map", [-0.01, -0.02, -0.015]), row("epsilon-8-ignored", [0.2, 0.21, 0.2])
    texts = _conclude([ignored, known])
    assert len(texts) == 3
    assert "epsilon-8: the MSE of map minus that of ignored is -0.22 (95 % interval" in texts[-1]
    assert "3 seeds" in texts[-1]


def row(name: str, added: list[float]) -> Summary:
    seeds = tuple(range(1, len(added) + 1))
    scores = {"mse": estimate([0.06 + value for value in added])}
    return Summary(
        Cell(name, "mnist-dragdp", {}), seeds, scores, {"MSE minus prior": estimate(added)}, {}, 5, 0.0
    )
