import json
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, run


def test_compares_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "comparison"
    assert run("compare", folder / "one", folder / "two", "--out", out) == 0
    assert "| one | – | 0.0200 |" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        f"comparison.{kind}" for kind in ("md", "csv", "json", "html")
    }
    assert run("compare", folder.parent / "comparison", "--out", out) == 2


def test_prints_the_same_table_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "comparison"
    assert run("compare", folder, "--out", out, "--title", "Two <runs>", "--json") == 0
    (only,) = json_lines(capsys)
    assert only["page"] == str(out / "comparison.html")
    assert only["runs"] == json.loads((out / "comparison.json").read_text())
    assert "Two &lt;runs&gt;" in (out / "comparison.html").read_text()
