from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.support.artifacts import Make, load
from tests.support.counting_oracle import CountingOracle
from tests.support.findings import examined, sentences
from tests.support.flat_oracle import FlatOracle, small_images

from palimpsest.artifacts import Models
from palimpsest.artifacts.oracle import OracleSource
from palimpsest.attacks import AuditorView
from palimpsest.doctor import Level
from palimpsest.doctor.oracle import check_plan
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import query_all
from palimpsest.pipeline.attack import attack
from palimpsest.proofs import Proofs, save_proofs


def test_queries_four_samples_twice(case: Make, here: Path, counting_oracle: CountingOracle) -> None:
    findings = examined(case(oracle={"source": counting_oracle.source}), here)
    assert "answers are the checkpoints'" in sentences(findings, Level.OK)
    # Four samples, in order and in reverse.
    assert sum(counting_oracle.asked) == 8


def test_accepts_an_empty_query() -> None:
    source = OracleSource(FlatOracle(), "six directions", "", None, None)
    assert query_all(source.oracle, small_images(3, 1).subset(torch.arange(0))).shape == (0, 300)
    assert query_all(source.oracle, small_images(3, 1)).shape == (3, 300)


@pytest.mark.parametrize(
    ("keys", "level", "words"),
    [
        ({"remaining_queries": None}, Level.OK, "at most 40 samples."),
        ({"remaining_queries": 20}, Level.OK, "at most 40 samples, within the limit of 40."),
        (
            {"remaining_queries": 5},
            Level.WARNING,
            "at most 20 samples because of the query budget; without it, it would query 40",
        ),
        ({"memory_budget": 1000}, Level.OK, "exceeds the memory budget, and are written to a file"),
        ({"memory_budget": 1000}, Level.WARNING, "Set --attack.components to 1 or less"),
        ({}, Level.WARNING, "20 are a small set"),
    ],
)
def test_reports_queries_and_space_in_advance(
    case: Make, here: Path, keys: dict[str, Any], level: Level, words: str
) -> None:
    settings = {"memory_budget": 2**20} | keys
    view = AuditorView(torch.rand(3, 300), FlatOracle(), small_images(20, 1), "cpu", **settings)
    assert words in sentences(list(check_plan(case(), view, here)), level)


def test_doctor_and_attack_reject_a_single_image(case: Make, here: Path) -> None:
    (here / "one" / "class0").mkdir(parents=True)
    Image.new("L", (8, 8), 100).save(here / "one" / "class0" / "0.png")
    assert "but only one sample is given" in sentences(
        examined(case(auxiliary="one", class_names=["class0", "class1", "class2"]), here), Level.ERROR
    )
    with pytest.raises(PalimpsestError, match="at least two"):
        attack(case(auxiliary="one", class_names=["class0", "class1", "class2"]), out=here / "run")


def test_detects_an_oracle_in_another_order(case: Make, here: Path, both: Models) -> None:
    auxiliary = load(case(), here).auxiliary
    vectors = gradient_differences(both.original, both.unlearned, auxiliary.images, auxiliary.labels)
    save_proofs(here / "right.safetensors", Proofs(vectors))
    save_proofs(here / "wrong.safetensors", Proofs(vectors.flip(0)))
    right = examined(case(oracle={"source": "right.safetensors"}), here)
    assert "answers are the checkpoints'" in sentences(right, Level.OK)
    assert "it would query 96" in sentences(right, Level.WARNING)
    wrong = examined(case(oracle={"source": "wrong.safetensors"}), here)
    assert "answers are not the checkpoints'" in sentences(wrong, Level.ERROR)


def test_detects_an_oracle_with_varying_answers(case: Make, here: Path, both: Models) -> None:
    length = sum(parameter.numel() for parameter in both.original.parameters())
    (here / "moody.py").write_text(
        "import torch\ncalls = []\ndef answer(images, labels):\n    calls.append(1)\n"
        f"    return torch.full((len(images), {length}), float(len(calls)))\n"
    )
    errors = sentences(examined(case(oracle={"source": "moody:answer"}), here), Level.ERROR)
    assert "answers to repeated queries differ" in errors
