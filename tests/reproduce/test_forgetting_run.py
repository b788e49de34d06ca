"""One tiny run of the forgetting study."""

from pathlib import Path

import pytest
import torch
from tests.support.forgetting import TINY

from palimpsest.reproduce import forgetting_run
from palimpsest.reproduce.forgetting_run import Measurements, measure_run
from palimpsest.reproduce.forgetting_settings import SETTINGS

CONFIG = SETTINGS[0].config(TINY, seed=1)


def run(folder: Path, *methods: str) -> Measurements:
    return measure_run(CONFIG, methods, folder=folder, shadows=4, unlearned_shadows=2, pairs=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forgetting")


def test_methods_are_measured_beside_retraining(folder: Path):
    result = run(folder, "retrain", "ascent", "federaser")
    assert list(result.methods) == ["retrain", "ascent", "federaser"]
    assert result.failures == {}
    assert result.shadow_seconds > 0
    for measured in result.methods.values():
        assert measured.seconds > 0
        assert measured.assessment.shadows == 4
        assert measured.yardstick.comparison.models == 4
        assert len(measured.assessment.forgotten) == 10
        assert measured.assessment.find("u-lira", "retained", "unlearned") is not None
    exact = result.methods["retrain"].forgetting.distance
    assert exact is not None
    assert exact.absolute == 0
    before = [
        measured.assessment.find("lira", "forgotten", "original") for measured in result.methods.values()
    ]
    assert before[0] is not None
    assert all(one is not None and torch.equal(one.members, before[0].members) for one in before)


def test_a_later_run_reuses_what_is_finished(folder: Path, monkeypatch: pytest.MonkeyPatch):
    run(folder, "retrain", "ascent")
    monkeypatch.setattr(forgetting_run, "train_shadow", None)
    monkeypatch.setattr(forgetting_run, "unlearn_shadow", None)
    monkeypatch.setattr(forgetting_run, "assess_with_shadows", None)
    assert list(run(folder, "retrain", "ascent").methods) == ["retrain", "ascent"]


def test_a_method_that_fails_leaves_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch):
    from palimpsest.errors import UnlearningError
    from palimpsest.unlearning import Ascent

    def fail(*_: object, **__: object) -> None:
        raise UnlearningError("It can't.")

    run(folder, "retrain")
    monkeypatch.setattr(Ascent, "__call__", fail)
    result = measure_run(
        SETTINGS[0].config({**TINY, "federation": {**TINY["federation"], "learning_rate": 0.02}}, seed=1),
        ["retrain", "ascent"],
        folder=folder.with_name("failing"),
        shadows=2,
        unlearned_shadows=2,
        pairs=4,
    )
    assert list(result.methods) == ["retrain"]
    assert result.failures == {"ascent": "It can't."}
