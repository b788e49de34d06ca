from pathlib import Path

import pytest
from tests.support.command_line import json_lines, run


def test_rejects_a_run_without_a_report(folder: Path, capsys) -> None:
    assert run("report", folder / "one") == 2
    assert "has no report" in capsys.readouterr().err


def test_writes_a_redacted_report_beside_the_full_one(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = (run_copy / "report.html").read_bytes()
    assert run("report", run_copy, "--redact", "--json") == 0
    (only,) = json_lines(capsys)
    assert only["report"] == str(run_copy / "report-redacted.html")
    assert only["pictures"] == []
    assert "Redacted." in (run_copy / "report-redacted.html").read_text()
    assert (run_copy / "report.html").read_bytes() == full


@pytest.mark.parametrize(
    ("flags", "name"), [((), "evidence.html"), (("--redact",), "evidence-redacted.html")]
)
def test_writes_only_the_evidence_page(
    run_copy: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], name: str
) -> None:
    (run_copy / "report.html").unlink()
    assert run("report", run_copy, "--evidence", *flags) == 0
    assert capsys.readouterr().out.splitlines() == [f"Evidence page: {run_copy / name}"]
    assert "Residual risk" in (run_copy / name).read_text()
    assert not (run_copy / "report.html").exists()


def test_writes_report_and_pictures_to_a_given_path(
    run_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "elsewhere" / "page.html"
    assert run("report", run_copy, "--out", page, "--pictures") == 0
    first, *pictures = capsys.readouterr().out.splitlines()
    assert first == f"Report: {page}"
    assert f"Picture: {page.parent / 'pictures' / 'gallery.svg'}" in pictures
    assert all(Path(line.removeprefix("Picture: ")).is_file() for line in pictures)
