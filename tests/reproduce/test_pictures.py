from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from palimpsest.reproduce import Cell, Study
from palimpsest.reproduce.frontier import draw_frontier
from palimpsest.reproduce.pictures import draw
from palimpsest.reproduce.published import Published
from palimpsest.reproduce.recommendation import CHECKS
from palimpsest.reproduce.summary import Estimate, Summary, summarise


def summaries(count: int, seeds: int) -> list[Summary]:
    made = []
    for index in range(count):
        cell = Cell(f"cell-{index}", "digits", {}, Published(0.02, 17.0, 0.3), position=float(index))
        trees = {
            seed: {
                "reconstruction": {"mse": 0.01 * (index + seed + 1), "psnr": 18.0, "count": 5},
                "attack": {},
                "seconds": {},
            }
            for seed in range(seeds)
        }
        made.append(summarise(cell, trees))
    return made


@pytest.mark.parametrize("picture", ["bars", "curve"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_both_formats_are_drawn_with_the_cells_names(picture: str, seeds: int, tmp_path: Path) -> None:
    study = Study("study", "A title", "A source", list, picture, axis="images")
    png, svg = draw(study, summaries(3, seeds), tmp_path)
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
    assert svg.read_text().count("<path") > 10
    assert oct(png.stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize("lpips", [{}, {"lpips": Estimate(0.4, 0.38, 0.42)}])
def test_the_frontier_shows_leaks_worth_and_accuracy_beside_each_other(lpips: dict[str, Estimate]) -> None:
    one = Estimate(0.5, 0.4, 0.6)
    columns = {"confirmed": one, "accuracy": Estimate(0.617, None, None), **dict.fromkeys(CHECKS, one)}
    plain = Summary(
        Cell("none", "digits", {}), (1,), {"identification_top1": one, **lpips}, columns, {}, 5, 1.0
    )
    both = replace(plain, columns={**columns, "non-adaptive top 1": one})
    panels = draw_frontier(Study("study", "A title", "A source", list), [plain, both]).axes
    assert len(panels) == 2 + len(lpips)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["none", "none"]
    marks = [sum(len(line.get_xdata()) == 1 for line in axes.lines) for axes in panels]
    assert marks == [2 * 2 + 1, *(2 for _ in lpips), 2 * len(CHECKS)]
    margin = panels[-1].child_axes[0]
    assert [label.get_text() for label in margin.get_yticklabels()] == ["61.7%", "61.7%"]


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    study = Study("study", "A title", "A source", list)
    first = [path.read_bytes() for path in draw(study, summaries(2, 1), tmp_path)]
    assert [path.read_bytes() for path in draw(study, summaries(2, 1), tmp_path)] == first


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    study = Study("study", "A title", "A source", list)
    failed = summarise(Cell("cell", "digits", {}), {}, "no data")
    assert draw(study, [failed], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
