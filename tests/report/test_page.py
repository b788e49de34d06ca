from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support.pages import draw, unscored_page

from palimpsest.errors import RunError
from palimpsest.report import ReportInput, judge, load_page, write_page
from palimpsest.report.page import draw_again


def test_a_page_is_rendered_again_as_it_was(report: ReportInput, tmp_path: Path) -> None:
    write_page(tmp_path, report, judge(report))
    assert draw(load_page(tmp_path)) == (tmp_path / "report.html").read_text()
    assert (tmp_path / "report.safetensors").stat().st_mode & 0o077 == 0


def test_a_redacted_page_comes_from_the_same_file(report: ReportInput, tmp_path: Path) -> None:
    write_page(tmp_path, report, judge(report))
    redacted = draw(load_page(tmp_path), redact=True)
    assert "UklGR" not in redacted
    assert len(redacted) < len((tmp_path / "report.html").read_text())


def test_an_attack_without_the_truth_has_a_page_and_no_redacted_one(tmp_path: Path) -> None:
    unscored = unscored_page()
    write_page(tmp_path, unscored, judge(unscored))
    page = load_page(tmp_path)
    assert page.originals is None
    assert draw(page) == (tmp_path / "report.html").read_text()
    with pytest.raises(RunError, match="no redacted page"):
        draw(page, redact=True)


def test_a_run_without_a_page_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no report"):
        load_page(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"reconstructions": torch.zeros(3, 2, 8, 8)},
        {"reconstructions": torch.zeros(3)},
        {"norms": torch.rand(5)},
        {"history": {"training_loss": []}},
        {"config": {"seed": {"a": {"b": [{}]}}}},
    ],
)
def test_a_strangers_page_is_drawn_or_refused_in_a_sentence(changes: dict, tmp_path: Path) -> None:
    replace(unscored_page(), **changes).save(tmp_path / "report.safetensors")
    try:
        told = draw_again(load_page(tmp_path))
    except RunError as error:
        told = str(error)
    assert "</html>" in told or "can't be drawn" in told
