import json
from pathlib import Path

import pytest

import palimpsest as pp


def test_compares_runs(result: pp.AuditResult, swept: Path, tmp_path: Path) -> None:
    both = pp.compare(result.folder, swept, out=tmp_path / "pages", title="Three")
    assert len(both) == 3
    table = both.to_frame()
    assert table["mse"].tolist() == [run.values["mse"] for run in both]
    assert "Three" in (tmp_path / "pages" / "comparison.html").read_text()
    assert json.loads((tmp_path / "pages" / "comparison.json").read_text()) == both.to_json()
    assert both._repr_html_().count("<tr>") == 4
    with pytest.raises(pp.PalimpsestError, match=r"There is no run in .*nothing"):
        pp.compare(result.folder, tmp_path / "nothing")
    with pytest.raises(pp.PalimpsestError, match="There is no run in an empty list"):
        pp.compare()
    # A run that is named twice is compared once.
    assert len(pp.compare(result.folder, result.folder)) == 1
    with pytest.raises(pp.PalimpsestError, match="Set out to a folder"):
        pp.compare(result.folder, pictures=True)
    pp.compare(result.folder, out=tmp_path / "pages", pictures=True, overwrite=True)
    assert (tmp_path / "pages" / "pictures" / "mse.svg").is_file()


def test_damaged_runs_are_listed_separately(result: pp.AuditResult, tmp_path: Path) -> None:
    assert "no run" in pp.runs(tmp_path)._repr_html_()
    assert pp.runs(tmp_path).to_frame().empty
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{")
    (tmp_path / "good").symlink_to(result.folder)
    listed = pp.runs(tmp_path)
    assert list(listed.damaged) == [tmp_path / "bad"]
    assert str(tmp_path / "bad") in listed._repr_html_()
    assert pp.runs(result.folder).runs[0].finished


def test_renders_a_report_again_and_redacted(result: pp.AuditResult, tmp_path: Path) -> None:
    before = result.report.read_text()
    assert pp.report(result.folder) == result.report
    assert len(result.report.read_text()) == len(before)
    redacted = pp.report(result.folder, redact=True, out=tmp_path / "r.html", pictures=True)
    assert "Redacted." in redacted.read_text()
    assert (tmp_path / "pictures" / "gallery.svg").is_file()
