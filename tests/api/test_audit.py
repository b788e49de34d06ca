from pathlib import Path

import pytest
from tests.support.audits import TINY

import palimpsest as pp
from palimpsest.api.audit import sweep_folder
from palimpsest.errors import ConfigurationError


def test_notebooks_display_the_verdict_and_the_scores(result: pp.AuditResult) -> None:
    assert result.report.is_file()
    shown = result._repr_html_()
    assert result.verdict.splitlines()[0] in shown
    assert shown.count("<tr>") == 1 + len(result.to_frame())


def test_the_data_frame_agrees_with_the_metrics(result: pp.AuditResult) -> None:
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


def test_an_audit_resumes_with_the_same_call(result: pp.AuditResult) -> None:
    config = pp.read_config("digits", TINY)
    assert pp.audit(config, out=str(result.folder)).metrics == result.metrics
    with pytest.raises(pp.PalimpsestError, match="can't be combined with an AuditConfig"):
        pp.audit(config, {"seed": 2})


def test_a_finished_sweep_is_not_run_again(result: pp.AuditResult, swept: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in swept.glob("*/reconstructions.safetensors")}
    runs = pp.sweep("digits", {"attack.epochs": [1, 2]}, TINY, out=swept)
    assert len(times) == 2
    assert times == {path: path.stat().st_mtime_ns for path in swept.glob("*/reconstructions.safetensors")}
    assert [run.folder.name for run in runs] == ["epochs-1", "epochs-2"]
    assert runs.runs[1].values["mse"] == result.metrics.reconstruction.mse
    assert "digits by grid" in (swept / "comparison.html").read_text()


@pytest.mark.parametrize("config", [{"attack": {"epochs": 5}}, {"x" * 5000: 1}, 3, None])
def test_rejects_a_config_of_another_type(config: object) -> None:
    with pytest.raises(ConfigurationError, match=f"config is a {type(config).__name__}, but must be"):
        pp.audit(config)  # type: ignore[arg-type] - the wrong type is the test


def test_the_default_folder_of_a_sweep_has_the_names_of_preset_and_grid() -> None:
    assert sweep_folder("a/mine.yaml", "grids/epochs.yaml") == Path("runs/mine-epochs")
    assert sweep_folder("digits", {"seed": [1]}) == Path("runs/digits-grid")


def test_an_invalid_grid_is_rejected_before_any_audit(tmp_path: Path) -> None:
    with pytest.raises(pp.PalimpsestError, match=r"attack\.epochs is 'abc'"):
        pp.sweep("digits", {"attack.epochs": "abc"}, out=tmp_path / "not")
    with pytest.raises(pp.PalimpsestError, match="can't be tracked"):
        pp.sweep("digits", {"seed": [1]}, out=tmp_path / "not", engine="ray", track=["tensorboard"])
    assert not (tmp_path / "not").exists()


def test_the_table_is_written_without_failed_cells(tmp_path: Path) -> None:
    too_many = {"data": {"name": "digits"}, "unlearning": {"count": 100_000}}
    with pytest.raises(pp.PalimpsestError, match=r"of 1 cells could not be computed\. The first is none:"):
        pp.reproduce("igf-table2", too_many, cells=["none"], out=tmp_path)
    assert (tmp_path / "igf-table2.md").is_file()
