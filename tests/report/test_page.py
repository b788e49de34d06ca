import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support.pages import draw, unscored_page

from palimpsest.errors import RunError
from palimpsest.report import ReportInput, judge, load_page, write_page
from palimpsest.report.page import EVIDENCE, draw_again, evidence_values


def test_rendering_again_gives_the_same_page(report: ReportInput, tmp_path: Path) -> None:
    write_page(tmp_path, report, judge(report))
    assert draw(load_page(tmp_path)) == (tmp_path / "report.html").read_text()
    assert draw_again(load_page(tmp_path), evidence=True) == (tmp_path / "evidence.html").read_text()
    assert evidence_values(load_page(tmp_path)) == json.loads((tmp_path / "evidence.json").read_text())
    for name in ("report.safetensors", *EVIDENCE):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_redacted_page_is_rendered_from_the_same_file(report: ReportInput, tmp_path: Path) -> None:
    write_page(tmp_path, report, judge(report))
    redacted = draw(load_page(tmp_path), redact=True)
    assert "UklGR" not in redacted
    assert len(redacted) < len((tmp_path / "report.html").read_text())


def test_page_of_an_unscored_attack_is_redacted_too(tmp_path: Path) -> None:
    unscored = unscored_page()
    write_page(tmp_path, unscored, judge(unscored))
    page = load_page(tmp_path)
    assert page.originals is None
    assert draw(page) == (tmp_path / "report.html").read_text()
    redacted = draw(page, redact=True)
    assert "Redacted." in redacted
    assert "UklGR" not in redacted


def test_rejects_a_run_without_a_page(tmp_path: Path) -> None:
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
def test_untrusted_page_is_rendered_or_rejected(changes: dict, tmp_path: Path) -> None:
    replace(unscored_page(), **changes).save(tmp_path / "report.safetensors")
    try:
        result = draw_again(load_page(tmp_path))
    except RunError as error:
        result = str(error)
    assert "</html>" in result or "can't be rendered" in result


def test_redacted_values_name_no_place() -> None:
    page = unscored_page(notes=["Read from /home/quill/x."], title="igf attack on proofs.safetensors")
    tree = evidence_values(page, redact=True)
    assert "quill" not in json.dumps(tree)
    assert tree["title"] == "igf attack on [left out]"
    assert tree["redacted"] is True
    assert "quill" in json.dumps(evidence_values(page))
