import shutil
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest.pipeline.results.result import AuditResult


@pytest.fixture
def attacked(lenet_attack: AuditResult, tmp_path: Path) -> Path:
    """A copy of a finished attack's folder."""
    return shutil.copytree(lenet_attack.folder, tmp_path / "run")


def test_reads_a_finished_attack_and_prints_its_verdict(
    attacked: Path, lenet_attack: AuditResult, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, error = outcome(capsys, "attack", attacked / "config.yaml", "--out", attacked)
    assert (code, error) == (0, "")
    assert " ".join(lenet_attack.verdict.split()) in " ".join(output.split())
    assert output.splitlines()[-1] == f"Report: {attacked / 'report.html'}"


def test_json_contains_the_folder_and_the_verdict(
    attacked: Path, lenet_attack: AuditResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("attack", attacked / "config.yaml", "--out", attacked, "--json") == 0
    *_, result = json_lines(capsys)
    assert result["folder"] == str(attacked)
    assert result["verdict"] == lenet_attack.verdict.splitlines()


def test_names_the_flag_of_a_missing_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = outcome(capsys, "attack", "--out", tmp_path / "run", "--model", "lenet")
    assert code == 2
    assert "--auxiliary" in error
    assert not (tmp_path / "run").exists()


def test_flags_take_precedence_and_another_attack_needs_another_folder(
    attacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = (attacked / "metrics.json").read_bytes()
    code, _, error = outcome(capsys, "attack", attacked / "config.yaml", "--out", attacked, "--seed", 77)
    assert code == 2
    assert "--replace" in error
    assert (attacked / "metrics.json").read_bytes() == metrics
