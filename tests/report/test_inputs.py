from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support.pages import unscored_page

from palimpsest.metrics import Grade, reach_verdict
from palimpsest.report import ReportInput


def test_saves_and_loads_every_field(report: ReportInput, tmp_path: Path) -> None:
    report.save(tmp_path / "report.safetensors")
    loaded = ReportInput.load(tmp_path / "report.safetensors")
    assert loaded.metrics == report.metrics
    assert torch.equal(loaded.reconstructions, report.reconstructions)
    assert loaded.per_image.keys() == report.per_image.keys()
    assert [tuple(fact) for fact in loaded.facts] == list(report.facts)
    assert (loaded.config, loaded.history) == (report.config, report.history)


def test_unknown_fields_stay_unknown(tmp_path: Path) -> None:
    unscored_page(accepted=None).save(tmp_path / "report.safetensors")
    loaded = ReportInput.load(tmp_path / "report.safetensors")
    assert loaded.originals is loaded.labels is loaded.accepted is None
    assert loaded.norms is not None
    assert loaded.per_image == {}


def test_truth_is_the_originals_and_their_labels(report: ReportInput) -> None:
    originals, labels = report.truth
    assert originals is report.originals
    assert labels is report.labels
    with pytest.raises(AssertionError, match="no originals"):
        _ = unscored_page().truth


def test_participation_comes_from_the_federation(report: ReportInput) -> None:
    assert report.metrics.federation is not None
    assert report.participation == report.metrics.federation.participation
    assert unscored_page().participation == ()


def test_verdict_of_an_earlier_version_is_reached_anew(report: ReportInput) -> None:
    metrics = report.metrics.model_copy(update={"verdict": None})
    assert replace(report, metrics=metrics).verdict == reach_verdict(metrics)
    stored = reach_verdict(metrics).model_copy(update={"grade": Grade.NO_LEAK_FOUND})
    assert replace(report, metrics=metrics.model_copy(update={"verdict": stored})).verdict is stored


def test_repr_contains_no_pixels(report: ReportInput) -> None:
    assert "reconstructions=[120, 3, 32, 32]" in repr(report)
    assert "tensor" not in repr(report)
