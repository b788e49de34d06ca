import json
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run


def test_refused_before_any_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert outcome(capsys, "audit", "--out", str(folder), "--federation.fraction", "2")[0] == 2
    assert not folder.exists()


def test_a_finished_audit_is_read_back_and_its_verdict_printed(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = (run_copy / "original.safetensors").stat().st_mtime_ns
    code, said, error = outcome(capsys, "audit", run_copy / "config.yaml", "--out", run_copy)
    assert (code, error) == (0, "")
    assert said.splitlines()[-1] == f"Report: {run_copy / 'report.html'}"
    assert "kept" in said
    assert (run_copy / "original.safetensors").stat().st_mtime_ns == original


def test_flags_win_over_the_file_and_another_audit_needs_another_folder(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = (run_copy / "metrics.json").read_bytes()
    code, _, error = outcome(capsys, "audit", run_copy / "config.yaml", "--out", run_copy, "--seed", 77)
    assert code == 2
    assert "--replace" in error
    assert (run_copy / "metrics.json").read_bytes() == metrics


def test_machines_get_the_scores_as_the_last_line(run_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("audit", run_copy / "config.yaml", "--out", run_copy, "--json") == 0
    *_, result = json_lines(capsys)
    assert result["event"] == "result"
    assert result["folder"] == str(run_copy)
    assert result["metrics"] == json.loads((run_copy / "metrics.json").read_text())
