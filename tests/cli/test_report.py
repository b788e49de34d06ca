from pathlib import Path

import pytest
from tests.support.command_line import json_lines, run


def test_a_report_is_rendered_again_only_where_there_is_one(folder: Path, capsys) -> None:
    assert run("report", folder / "one") == 2
    assert "has no report" in capsys.readouterr().err


def test_a_redacted_report_stands_beside_the_whole_one(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (run_copy / "report.html").read_bytes()
    assert run("report", run_copy, "--redact", "--json") == 0
    (only,) = json_lines(capsys)
    assert only["report"] == str(run_copy / "report-redacted.html")
    assert only["pictures"] == []
    assert "Redacted." in (run_copy / "report-redacted.html").read_text()
    assert (run_copy / "report.html").read_bytes() == whole


def test_a_report_is_written_where_it_is_asked_for_with_its_pictures(
    run_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "elsewhere" / "page.html"
    assert run("report", run_copy, "--out", page, "--pictures") == 0
    first, *pictures = capsys.readouterr().out.splitlines()
    assert first == f"Report: {page}"
    assert f"Picture: {page.parent / 'pictures' / 'gallery.svg'}" in pictures
    assert all(Path(line.removeprefix("Picture: ")).is_file() for line in pictures)
