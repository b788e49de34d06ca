import re
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run

import palimpsest


def test_dry_run_lists_what_a_purge_removes(run_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name for path in run_copy.iterdir()}
    code, output, _ = outcome(capsys, "purge", run_copy, "--dry-run")
    assert code == 0
    assert output.startswith(f"{run_copy}: would remove ")
    assert {path.name for path in run_copy.iterdir()} == before
    code, output, _ = outcome(capsys, "purge", run_copy)
    assert code == 0
    assert output.startswith(f"{run_copy}: removed ")
    assert "metrics.json" in output.partition("; kept ")[2]
    assert not (run_copy / "report.html").exists()
    assert (run_copy / "metrics.json").is_file()


def test_json_contains_removed_files_and_bytes(run_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("purge", run_copy, "--dry-run", "--json") == 0
    (only,) = json_lines(capsys)
    assert only["dry_run"] is True
    assert "report.html" in only["purged"][str(run_copy)]["removed"]
    assert only["purged"][str(run_copy)]["bytes"] > 0


def test_rejects_a_folder_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter").write_text("dear")
    code, _, error = outcome(capsys, "purge", tmp_path)
    assert code == 2
    assert "holds no run" in error
    assert (tmp_path / "letter").is_file()


def test_reports_readable_units_and_marks_the_run(
    run_copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    before = palimpsest.runs(run_copy).runs[0]
    assert not before.purged
    _, output, _ = outcome(capsys, "purge", run_copy)
    assert re.search(r"files and folders, [\d.]+ (KiB|MiB)", output)
    assert palimpsest.purge(str(run_copy)).removed == ()
    after = palimpsest.runs(run_copy).runs[0]
    assert after.purged
    assert after.seconds == before.seconds > 0
    _, output, _ = outcome(capsys, "runs", run_copy)
    assert "; purged" in output
