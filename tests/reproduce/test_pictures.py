from pathlib import Path

import pytest
from PIL import Image

from palimpsest.metrics import Metrics
from palimpsest.reproduce import Cell, Study
from palimpsest.reproduce.pictures import draw
from palimpsest.reproduce.published import Published
from palimpsest.reproduce.summary import Summary, summarize


def metrics(mse: float) -> Metrics:
    scores = {"mse": mse, "psnr": 18.0, "count": 5, "identification_top1": 0.5, "identification_top5": 1.0}
    return Metrics.model_validate({"reconstruction": scores, "attack": {}, "seconds": {}})


def summaries(count: int, seeds: int) -> list[Summary]:
    made = []
    for index in range(count):
        cell = Cell(f"cell-{index}", "digits", {}, Published(0.02, 17.0, 0.3), position=float(index))
        runs = {seed: metrics(0.01 * (index + seed + 1)) for seed in range(seeds)}
        made.append(summarize(cell, runs))
    return made


@pytest.mark.parametrize("picture", ["bars", "curve"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_draws_png_and_svg(picture: str, seeds: int, tmp_path: Path) -> None:
    study = Study("study", "A title", "A source", list, picture, axis="images")
    png, svg = draw(study, summaries(3, seeds), tmp_path)
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
    assert svg.read_text().count("<path") > 10
    assert oct(png.stat().st_mode)[-3:] == "600"


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    study = Study("study", "A title", "A source", list)
    first = [path.read_bytes() for path in draw(study, summaries(2, 1), tmp_path)]
    assert [path.read_bytes() for path in draw(study, summaries(2, 1), tmp_path)] == first


def test_draws_nothing_without_a_finished_cell(tmp_path: Path) -> None:
    study = Study("study", "A title", "A source", list)
    failed = summarize(Cell("cell", "digits", {}), {}, "no data")
    assert draw(study, [failed], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
