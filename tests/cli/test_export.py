from pathlib import Path

import pytest
from tests.support.command_line import outcome, run


def test_writes_scores_and_the_evidence_page_without_flags(
    finished_audit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = outcome(capsys, "export", finished_audit, "--out", tmp_path / "out")
    assert code == 0
    assert printed.splitlines() == [
        f"Wrote {tmp_path / 'out' / name}" for name in ("scores.csv", "evidence.json", "evidence.html")
    ]
    code, _, error = outcome(capsys, "export", finished_audit, "--out", tmp_path / "out")
    assert code == 2
    assert "would be overwritten" in error
    assert run("export", finished_audit, "--out", tmp_path / "out", "--json", "--overwrite") == 0


def test_a_redacted_export_has_no_scores(finished_audit: Path, tmp_path: Path) -> None:
    assert run("export", finished_audit, "--redact", "--out", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"evidence.html", "evidence.json"}
    assert run("export", finished_audit, "--redact", "--csv", "--out", tmp_path / "other") == 2


def test_writes_the_evidence_page_alone(finished_audit: Path, tmp_path: Path) -> None:
    assert run("export", finished_audit, "--evidence", "--out", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["evidence.html"]
