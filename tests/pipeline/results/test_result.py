from pathlib import Path

import pytest
from tests.support.outcomes import proofs_outcome

from palimpsest.errors import RunError
from palimpsest.pipeline.results.finish import finish
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.runs import Run


@pytest.fixture
def result() -> AuditResult:
    metrics = build_metrics(proofs_outcome(scored=True), {})
    return AuditResult(Path("runs/one"), metrics, "A headline.\nA <finding>.")


def test_the_data_frame_has_a_row_for_each_score(result: AuditResult) -> None:
    scores, means = result.to_frame(), result.metrics.reconstruction
    assert means is not None
    assert list(scores.index) == means.names()
    row = scores.loc["mse"]
    assert row["value"] == means.mse
    assert (row["low"], row["high"]) == result.metrics.intervals["mse"]
    assert row["mean_image"] == result.metrics.baselines["mean_image"].mse
    assert scores.loc["identification_top1", "chance"] == 0.25


def test_identification_has_the_exact_interval_of_the_rates(result: AuditResult) -> None:
    scores, rate = result.to_frame(), result.metrics.rates["identification_top1"]
    low, high = scores.loc["identification_top1", ["low", "high"]]
    assert (low, high) == (rate.low, rate.high)
    assert low < high


def test_the_text_has_three_lines(result: AuditResult) -> None:
    headline, scores, page = repr(result).splitlines()
    assert headline == "A headline."
    assert scores.startswith("mse ")
    assert "identification_top1" in scores
    assert page == "Report: runs/one/report.html"
    unscored = AuditResult(Path("runs/one"), build_metrics(proofs_outcome(scored=False), {}), "A headline.")
    assert "Nothing was scored." in repr(unscored)


def test_without_scores_the_data_frame_is_empty() -> None:
    unscored = AuditResult(Path("runs/one"), build_metrics(proofs_outcome(), {}), "A headline.")
    assert unscored.to_frame().empty
    assert "<table>" not in unscored._repr_html_()


def test_notebooks_display_verdict_scores_and_page(result: AuditResult) -> None:
    html = result._repr_html_()
    assert "<strong>A headline.</strong>" in html
    assert "A &lt;finding&gt;." in html
    assert html.count("<tr>") == 1 + len(result.to_frame())
    assert "Report: runs/one/report.html" in html


def test_per_image_has_a_row_for_each_proof_until_the_run_is_purged(run: Run) -> None:
    result = finish(run, proofs_outcome(), command="")
    rows = result.per_image()
    assert rows["accepted"].tolist() == [True, True, True, False]
    (run.folder / "report.safetensors").unlink()
    with pytest.raises(RunError, match="purged"):
        result.per_image()
