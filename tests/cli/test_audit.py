import json
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run


def test_rejects_invalid_values_before_any_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert outcome(capsys, "audit", "--out", str(folder), "--federation.fraction", "2")[0] == 2
    assert not folder.exists()


def test_reads_a_finished_audit_and_prints_its_verdict(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = (run_copy / "original.safetensors").stat().st_mtime_ns
    code, output, error = outcome(capsys, "audit", run_copy / "config.yaml", "--out", run_copy)
    assert (code, error) == (0, "")
    assert output.splitlines()[-1] == f"Report: {run_copy / 'report.html'}"
    assert "kept" in output
    assert (run_copy / "original.safetensors").stat().st_mtime_ns == original


def test_flags_take_precedence_and_another_audit_needs_another_folder(
    run_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = (run_copy / "metrics.json").read_bytes()
    code, _, error = outcome(capsys, "audit", run_copy / "config.yaml", "--out", run_copy, "--seed", 77)
    assert code == 2
    assert "--replace" in error
    assert (run_copy / "metrics.json").read_bytes() == metrics


def test_last_line_of_json_contains_the_scores(run_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("audit", run_copy / "config.yaml", "--out", run_copy, "--json") == 0
    *_, result = json_lines(capsys)
    assert result["event"] == "result"
    assert result["folder"] == str(run_copy)
    assert result["metrics"] == json.loads((run_copy / "metrics.json").read_text())
