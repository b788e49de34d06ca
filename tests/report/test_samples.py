from typing import Any

import pytest
import torch
from tests.support.pages import draw, unscored_metrics, unscored_page

from palimpsest.errors import RunError
from palimpsest.metrics import Metrics
from palimpsest.report import ReportInput, judge, load_page, write_page


def metrics(top1: float = 0.9, mse: float = 0.2) -> Metrics:
    ends = [mse - 0.1, mse + 0.1]
    typical = {"mse": 1.0, "identification_top1": 0.0, "identification_top5": 0.0, "count": 20}
    return unscored_metrics(
        reconstruction={"mse": mse, "identification_top1": top1, "identification_top5": 1.0, "count": 20},
        chance={"identification_top1": 0.05, "identification_top5": 0.25},
        baselines={"typical": typical},
        intervals={"mse": ends, "identification_top1": [0.8, 1.0]},
        metrics={"mse": {"label": "MSE", "meaning": "in units <of> deviation", "better": "low"}},
        verification={"accepted": 19, "rejected": 1, "tau": 2.0},
    )


def page(**changed: Any) -> ReportInput:
    values = {
        "title": "igf-rows attack on <b>proofs</b>",
        "config": {"seed": 1, "attack": {"name": "igf-rows"}},
        "reconstructions": torch.rand(2, 2),
        "accepted": torch.tensor([True, False]),
        "norms": torch.tensor([1.0, 3.0]),
        "kind": "rows of a table",
        "columns": ["age", "<script>"],
        "cells": [["41", "0.5"], ["7", "1"]],
        "truth_cells": [["40", "0.5"], ["8", "1"]],
        "metrics": metrics(),
    }
    return unscored_page(**(values | changed))


def test_shows_reconstructed_and_forgotten_samples() -> None:
    text = draw(page())
    for value in (
        "41",
        "40",
        "reconstructed",
        "forgotten",
        "Typical sample",
        "in units &lt;of&gt; deviation",
    ):
        assert value in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_is_not_scored_without_the_forgotten_samples() -> None:
    text = draw(page(truth_cells=[], metrics=unscored_metrics()))
    assert "nothing is scored" in text
    assert 'id="scores"' not in text


def test_rendering_again_gives_the_same_page(tmp_path) -> None:
    written = page()
    write_page(tmp_path, written, judge(written))
    assert draw(load_page(tmp_path)) == (tmp_path / "report.html").read_text()
    with pytest.raises(RunError, match="no redacted page"):
        draw(page(), redact=True)


@pytest.mark.parametrize(
    ("top1", "mse", "headline"),
    [
        (0.9, 0.2, "can be reconstructed"),
        (0.9, 1.5, "traces"),
        (0.05, 0.2, "traces"),
        (0.05, 1.5, "did not recover"),
    ],
)
def test_headline_follows_the_intervals(top1: float, mse: float, headline: str) -> None:
    verdict = judge(page(metrics=metrics(top1, mse)))
    assert headline in verdict.headline
    assert any("rows of a table" in finding for finding in verdict.findings)
