from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest import read_artifacts_config


def test_writes_a_case_and_says_what_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "case.yaml"
    code, out, _ = outcome(capsys, "init", path)
    assert code == 0
    assert out == f"Wrote {path}. Fill it in, then run `palimpsest doctor {path}`.\n"
    assert read_artifacts_config(path).auxiliary == "auxiliary/"
    code, _, error = outcome(capsys, "init", path)
    assert code == 2
    assert "--overwrite" in error
    assert run("init", path, "--overwrite", "--json") == 0
    (only,) = json_lines(capsys)
    assert only["path"] == str(path)
