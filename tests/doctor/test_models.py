from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.support.artifacts import NO_MODELS, Make
from tests.support.findings import examined, sentences

from palimpsest.doctor import Level


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"original": "nowhere.pt"}, "There is no checkpoint"),
        ({"unlearned": None}, "unlearned is missing"),
        ({"model": "own_nets:broken"}, "ZeroDivisionError: by zero"),
    ],
)
def test_models_that_can_not_be_loaded_are_an_error(
    case: Make, here: Path, keys: dict[str, Any], words: str
) -> None:
    assert words in sentences(examined(case(**keys), here), Level.ERROR)


def test_warns_about_missing_models(case: Make, here: Path) -> None:
    assert "No model is given" in sentences(examined(case(**NO_MODELS), here), Level.WARNING)


@pytest.mark.parametrize(
    "keys",
    [
        {"original": "pickled.pt"},
        {"model": "own_nets:Nett"},
        {"model_arguments": {"width": 5}},
        {"mean": [0.5], "std": [0.5, 0.5]},
        {"auxiliary": "color"},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_model_errors_are_not_reported_for_oracle_or_truth(
    case: Make, here: Path, pieces: Path, keys: dict[str, Any]
) -> None:
    torch.save(torch.nn.ReLU(), here / "pickled.pt")
    for label in range(3):
        (here / "color" / f"class{label}").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(here / "color" / f"class{label}" / "0.png")
    findings = examined(case(truth=str(pieces / "forgotten"), **keys), here)
    assert {finding.subject for finding in findings if finding.level is Level.ERROR} <= {
        "model",
        "original",
        "unlearned",
    }
    assert sentences(findings, Level.ERROR)
