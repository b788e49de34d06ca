import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.trackers import LOSSES, feed

from palimpsest.errors import ConfigurationError
from palimpsest.progress.trackers.tracker import Tracker, make_tracker, public


class Recorded:
    def __init__(self) -> None:
        self.points: list[tuple[str, int, float]] = []
        self.summary: dict[str, float] = {}

    def scalar(self, series: str, step: int, value: float) -> None:
        self.points.append((series, step, value))

    def finish(self, summary: Mapping[str, float]) -> None:
        self.summary = dict(summary)


def test_curves_and_scores_are_passed_on(tmp_path: Path) -> None:
    backends: list[tuple[Recorded, Any]] = []

    def start(folder: Path, config: Mapping[str, Any]) -> Recorded:
        backends.append((Recorded(), config))
        return backends[-1][0]

    tracker = Tracker(start, pytest.fail)
    for name in ("one", "two"):
        feed(tracker, tmp_path / name)
    assert len(backends) == 2
    for backend, config in backends:
        assert [step for _, step, _ in backend.points] == [1, 2, 3] * 2
        assert {name for name, _, _ in backend.points} == {"inverter/train/loss", "inverter/train 2/loss"}
        assert [value for _, _, value in backend.points[:3]] == list(LOSSES)
        assert backend.summary == {
            "seconds/inverter": 1.5,
            "reconstruction/mse": 0.01,
            "reconstruction/count": 4,
            "reconstruction/identification_top1": 0.5,
            "reconstruction/identification_top5": 1.0,
            "intervals/mse/low": 0.009,
            "intervals/mse/high": 0.011,
            "attack/epochs": 3,
        }
        assert "31337" not in json.dumps(config)


def test_a_tracker_that_fails_is_told_of_once_and_stops_nothing(tmp_path: Path) -> None:
    class Broken(Recorded):
        def scalar(self, series: str, step: int, value: float) -> None:
            raise ConnectionError("nobody answers")

    told: list[str] = []
    feed(Tracker(lambda *_: Broken(), told.append), tmp_path)
    assert told == ["Tracking stops here (ConnectionError: nobody answers); the run goes on."]


def test_what_names_the_forgotten_is_not_passed_on() -> None:
    config = {"unlearning": {"indices": [1, 2], "count": 2}, "seed": 1}
    assert public(config) == {"unlearning": {"indices": "2, left out", "count": 2}, "seed": 1}
    assert public({"seed": 1}) == {"seed": 1}


def test_none_is_imported_or_asked_for_unless_named() -> None:
    code = (
        "import sys, palimpsest.progress.trackers.tracker, palimpsest.cli\n"
        "print({'wandb', 'mlflow', 'tensorboard'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "set()"


def test_one_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="mlflow, tensorboard, wandb"):
        make_tracker("neptune", pytest.fail)
    monkeypatch.setitem(sys.modules, "palimpsest.progress.trackers.mlflow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'palimpsest\[tracking\]'"):
        make_tracker("mlflow", pytest.fail)
