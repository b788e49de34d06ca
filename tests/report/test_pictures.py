from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.support.pages import unscored_page

from palimpsest.report import ReportInput
from palimpsest.report.pictures import save_pictures


def test_writes_png_and_svg(report: ReportInput, tmp_path: Path) -> None:
    names = {path.name for path in save_pictures(report, tmp_path)}
    assert names == {
        f"{name}.{kind}"
        for name in ("gallery", "training", "distributions", "identification")
        for kind in ("png", "svg")
    }
    unscored = {path.name for path in save_pictures(unscored_page(), tmp_path / "unscored")}
    assert unscored == {f"{name}.{kind}" for name in ("gallery", "training") for kind in ("png", "svg")}
    assert (tmp_path / "gallery.png").read_bytes()[:4] == b"\x89PNG"
    first = (tmp_path / "training.svg").read_bytes()
    save_pictures(report, tmp_path)
    assert (tmp_path / "training.svg").read_bytes() == first


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 2), (12, 12, 2), (13, 12, 4), (40, 12, 6)])
def test_gallery_has_two_rows_for_every_12_images(
    count: int, columns: int, rows: int, make_report, tmp_path: Path
) -> None:
    save_pictures(make_report(count, size=8, history={}), tmp_path)
    assert not (tmp_path / "training.png").exists()
    with Image.open(tmp_path / "gallery.png") as image:
        image.load()
        assert image.size == (112 * columns, pytest.approx(115.2 * rows, abs=1))


def test_gallery_without_originals_shows_reconstructions_only(tmp_path: Path) -> None:
    save_pictures(unscored_page(3, history={}), tmp_path)
    with Image.open(tmp_path / "gallery.png") as image:
        assert image.size == (112 * 3, 115)


def test_only_the_owner_can_read_the_pictures(tmp_path: Path) -> None:
    for path in save_pictures(unscored_page(), tmp_path):
        assert path.stat().st_mode & 0o077 == 0


def test_skips_an_infinite_score(make_report, tmp_path: Path) -> None:
    page = make_report(4)
    page.per_image["psnr"][1] = torch.inf
    assert tmp_path / "distributions.svg" in save_pictures(page, tmp_path)
