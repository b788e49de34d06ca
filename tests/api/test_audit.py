from pathlib import Path

import pytest
from tests.support.audits import TINY

import palimpsest as pp
from palimpsest.api.audit import sweep_folder


def test_an_audit_shows_its_verdict_and_its_scores(result: pp.AuditResult) -> None:
    assert result.report.is_file()
    shown = result._repr_html_()
    assert result.verdict.splitlines()[0] in shown
    assert shown.count("<tr>") == 1 + len(result.to_frame())


def test_an_audits_frame_holds_the_numbers_of_its_metrics(result: pp.AuditResult) -> None:
    scores = result.to_frame()
    tree = result.metrics
    assert scores.loc["mse", "value"] == tree.reconstruction.mse
    assert (scores.loc["mse", "low"], scores.loc["mse", "high"]) == tree.intervals["mse"]
    assert scores.loc["mse", "mean_image"] == tree.baselines["mean_image"].mse
    assert scores.loc["identification_top1", "chance"] == pytest.approx(1 / 12)
    images = result.per_image()
    assert len(images) == 12
    assert images["mse"].mean() == pytest.approx(tree.reconstruction.mse, rel=1e-5)
    assert images["accepted"].sum() == tree.verification.accepted


def test_an_audit_goes_on_with_the_same_call(result: pp.AuditResult) -> None:
    config = pp.read_config("digits", TINY)
    assert pp.audit(config, out=str(result.folder)).metrics == result.metrics
    with pytest.raises(pp.PalimpsestError, match="Overrides go with a preset"):
        pp.audit(config, {"seed": 2})


def test_a_sweep_goes_on_and_holds_its_runs(result: pp.AuditResult, swept: Path) -> None:
    computed = {path: path.stat().st_mtime_ns for path in swept.glob("*/reconstructions.safetensors")}
    runs = pp.sweep("digits", {"attack.epochs": [1, 2]}, TINY, out=swept)
    assert len(computed) == 2
    assert computed == {path: path.stat().st_mtime_ns for path in swept.glob("*/reconstructions.safetensors")}
    assert [run.folder.name for run in runs] == ["epochs-1", "epochs-2"]
    assert runs.runs[1].values["mse"] == result.metrics.reconstruction.mse
    assert "digits by grid" in (swept / "comparison.html").read_text()


def test_a_sweep_without_a_folder_is_named_after_the_preset_and_the_grid() -> None:
    assert sweep_folder("a/mine.yaml", "grids/epochs.yaml") == Path("runs/mine-epochs")
    assert sweep_folder("digits", {"seed": [1]}) == Path("runs/digits-grid")


def test_a_grid_that_is_not_accepted_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(pp.PalimpsestError, match=r"attack\.epochs is 'abc'"):
        pp.sweep("digits", {"attack.epochs": "abc"}, out=tmp_path / "not")
    with pytest.raises(pp.PalimpsestError, match="can't be tracked"):
        pp.sweep("digits", {"seed": [1]}, out=tmp_path / "not", engine="ray", track=["tensorboard"])
    assert not (tmp_path / "not").exists()


def test_a_cell_that_can_not_be_computed_is_an_error_and_the_table_stands(tmp_path: Path) -> None:
    too_many = {"data": {"name": "digits"}, "unlearning": {"count": 100_000}}
    with pytest.raises(
        pp.PalimpsestError, match="of 1 cells could not be computed, the first one, none, because:"
    ):
        pp.reproduce("igf-table2", too_many, cells=["none"], out=tmp_path)
    assert (tmp_path / "igf-table2.md").is_file()
