import re
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest.pipeline.results.result import AuditResult


def test_lists_findings_and_ends_with_code_0(
    lenet_attack: AuditResult, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, error = outcome(capsys, "doctor", lenet_attack.folder / "config.yaml")
    assert (code, error) == (0, "")
    *findings, last = output.splitlines()
    assert re.fullmatch(r"No errors, \S+ warnings?\. .*`palimpsest attack` with the same flags\.", last)
    levels = {line.split()[0] for line in findings if line[:1].strip()}
    assert "ok" in levels
    assert levels <= {"ok", "warning"}


def test_lists_an_error_and_ends_with_code_2(
    lenet_attack: AuditResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.safetensors"
    arguments = "doctor", lenet_attack.folder / "config.yaml", "--proofs", missing
    code, output, error = outcome(capsys, *arguments)
    assert code == 2
    assert any(line.startswith("error") for line in output.splitlines())
    assert error == ""
    assert output.splitlines()[-1].startswith("1 error, ")
    assert output.splitlines()[-1].endswith("Correct the errors, then run `palimpsest doctor` again.")
    assert run(*arguments, "--json") == 2


def test_json_contains_every_finding(lenet_attack: AuditResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", lenet_attack.folder / "config.yaml", "--json") == 0
    (only,) = json_lines(capsys)
    assert only["ok"] is True
    assert all(finding.keys() == {"level", "subject", "message"} for finding in only["findings"])
    assert len(only["findings"]) > 3
