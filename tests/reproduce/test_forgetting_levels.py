"""The study of training levels, with tiny runs."""

import json
import sys
from pathlib import Path

import pytest
from tests.support.forgetting import TINY

from palimpsest.registry import VERIFIERS
from palimpsest.reproduce import level_study
from palimpsest.reproduce.forgetting_levels import LeakRow, leak_table
from palimpsest.reproduce.summary import estimate

KEYS = {**TINY, "federation": {"clients": 2, "rounds": 1}, "attack": {"epochs": 1, "width": 8}}


@pytest.fixture(autouse=True)
def few_shadows(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["palimpsest.reproduce.forgetting"]
    for name, value in {"SHADOWS": 2, "UNLEARNED_SHADOWS": 2, "PAIRS": 5}.items():
        monkeypatch.setattr(module, name, value)


def test_levels_are_measured_along_one_axis(tmp_path: Path):
    rows, leaks = level_study(out=tmp_path, cells=["cifar10-epochs-[12]/retrain"], overrides=KEYS)
    assert [(row.setting, row.method) for row in rows] == [
        (f"cifar10-epochs-{epochs}", method) for epochs in (1, 2) for method in ("original", "retrain")
    ]
    assert [(row.setting, row.method) for row in leaks] == [
        (f"cifar10-epochs-{epochs}", "retrain") for epochs in (1, 2)
    ]
    for row in leaks:
        assert 0 < row.numbers["mse"].mean < 1
        assert {name for name, _ in VERIFIERS} <= row.numbers.keys()
        assert row.numbers["identified"].mean <= 1
        for name in row.numbers.keys() - {"mse", "mean image"}:
            share = row.numbers[name]
            assert share.low is not None
            assert share.high is not None
            assert share.low < share.high, "one seed has the interval over its samples"
    tree = json.loads((tmp_path / "forgetting-levels.json").read_text())
    assert [leak["name"] for leak in tree["leaks"]] == [f"{row.setting}/{row.method}" for row in leaks]
    page = (tmp_path / "forgetting-levels.md").read_text()
    assert "Leak of the proofs" in page
    assert (tmp_path / "forgetting-levels.png").exists()


def test_a_level_whose_audit_fails_has_its_reason():
    rows = [
        LeakRow("here", "retrain", {"mse": estimate([0.1, 0.2])}),
        LeakRow("there", "retrain", {}, "Too few\nimages."),
    ]
    page = leak_table(rows)
    assert "95 % interval over seeds" in page
    assert "| here | retrain | 0.1500 (" in page
    assert "there, retrain: Too few images." in page
