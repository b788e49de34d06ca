import csv
import json
from pathlib import Path

import pytest

import palimpsest as pp
from palimpsest.errors import ConfigurationError, RunError


def test_writes_scores_and_the_evidence_page(result: pp.AuditResult, tmp_path: Path) -> None:
    scores, values, page = pp.export(result.folder, out=tmp_path / "out")
    assert (scores.name, values.name, page.name) == ("scores.csv", "evidence.json", "evidence.html")
    with scores.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert result.metrics.reconstruction is not None
    assert len(rows) == result.metrics.reconstruction.count
    mean = sum(float(row["mse"]) for row in rows) / len(rows)
    assert mean == pytest.approx(result.metrics.reconstruction.mse, rel=1e-5)
    tree = json.loads(values.read_text())
    assert tree["metrics"] == result.metrics.tree()
    assert list(tree["sha256"]) == [
        "configuration",
        "training data",
        "auxiliary data",
        "original model",
        "unlearned model",
        "proofs",
    ]
    # The run folder holds the same page.
    assert values.read_bytes() == (result.folder / "evidence.json").read_bytes()
    assert page.read_bytes() == (result.folder / "evidence.html").read_bytes()
    assert scores.stat().st_mode & 0o077 == 0


def test_replaces_a_file_only_if_asked(result: pp.AuditResult, tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_text("mine")
    with pytest.raises(RunError, match=r"evidence\.json would be overwritten"):
        pp.export(result.folder, out=tmp_path)
    assert (tmp_path / "evidence.json").read_text() == "mine"
    assert not (tmp_path / "scores.csv").exists()
    pp.export(result.folder, out=tmp_path, overwrite=True)
    assert json.loads((tmp_path / "evidence.json").read_text())["risk"]


def test_rejects_what_it_can_not_write(
    result: pp.AuditResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="The formats are xml"):
        pp.export(result.folder, out=tmp_path / "out", formats=["xml"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="The formats are empty"):
        pp.export(result.folder, out=tmp_path / "out", formats=[])
    with pytest.raises(ConfigurationError, match="no scores of single samples"):
        pp.export(result.folder, out=tmp_path / "out", redact=True)
    with pytest.raises(RunError, match="has no report"):
        pp.export(tmp_path, out=tmp_path / "out")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pp.PalimpsestError, match="needs Chromium"):
        pp.export(result.folder, out=tmp_path / "out", formats=["json", "pdf"])
    # Nothing was written.
    assert not (tmp_path / "out").exists()
