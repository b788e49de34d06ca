import pytest
import torch

from palimpsest.errors import RunError
from palimpsest.report import (
    SamplesInput,
    load_page,
    render_page,
    render_samples,
    told_of_samples,
    write_page,
)


def tree(top1: float = 0.9, mse: float = 0.2) -> dict:
    ends = [mse - 0.1, mse + 0.1]
    return {
        "reconstruction": {"mse": mse, "identification_top1": top1, "identification_top5": 1.0, "count": 20},
        "chance": {"identification_top1": 0.05, "identification_top5": 0.25},
        "baselines": {"typical": {"mse": 1.0, "identification_top1": 0.0}},
        "intervals": {"mse": ends, "identification_top1": [0.8, 1.0]},
        "metrics": {"mse": {"label": "MSE", "meaning": "in units <of> deviation", "better": "low"}},
        "verification": {"accepted": 19, "refused": 1, "tau": 2.0},
    }


def page(**changed: object) -> SamplesInput:
    values = {
        "title": "igf-rows against <b>proofs</b>",
        "command": "palimpsest attack",
        "facts": [("Attack", "igf-rows")],
        "config": {"seed": 1, "attack": {"name": "igf-rows"}},
        "config_yaml": "seed: 1\n",
        "versions": {"torch": "2"},
        "seconds": {"attack": 1.0},
        "reconstructions": torch.rand(2, 2),
        "accepted": torch.tensor([True, False]),
        "norms": torch.tensor([1.0, 3.0]),
        "tau": 2.0,
        "curves": {"training_loss": [1.0, 0.5]},
        "knowledge": ["Proofs."],
        "kind": "rows of a table",
        "findings": ["Forgotten samples can be read back.", "More."],
        "columns": ["age", "<script>"],
        "cells": [["41", "0.5"], ["7", "1"]],
        "truth": [["40", "0.5"], ["8", "1"]],
        "metrics": tree(),
    }
    return SamplesInput(**(values | changed))  # type: ignore[arg-type]


def test_reconstructions_stand_beside_what_was_forgotten() -> None:
    text = render_samples(page())
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


def test_without_the_truth_nothing_is_scored() -> None:
    text = render_samples(page(truth=[], metrics={"verification": {}}))
    assert "nothing is scored" in text
    assert 'id="scores"' not in text


def test_a_written_page_is_rendered_again(tmp_path) -> None:
    write_page(tmp_path, page())
    assert render_page(load_page(tmp_path)) == (tmp_path / "report.html").read_text()
    with pytest.raises(RunError, match="no redacted page"):
        render_page(page(), redact=True)


@pytest.mark.parametrize(
    ("top1", "mse", "headline"),
    [
        (0.9, 0.2, "can be read back"),
        (0.9, 1.5, "traces"),
        (0.05, 0.2, "traces"),
        (0.05, 1.5, "did not recover"),
    ],
)
def test_the_headline_claims_what_the_intervals_carry(top1: float, mse: float, headline: str) -> None:
    said = told_of_samples(tree(top1, mse), "rows of a table")
    assert headline in said[0]
    assert "rows of a table" in said[1]
