import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.trackers import LOSSES, feed
from tests.support.warnings import Warnings

from palimpsest.errors import ConfigurationError
from palimpsest.progress import with_callbacks
from palimpsest.progress.trackers.tracker import Tracker, make_tracker, public


class Recorded:
    def __init__(self) -> None:
        self.points: list[tuple[str, int, float]] = []
        self.summary: dict[str, float] = {}

    def scalar(self, series: str, step: int, value: float) -> None:
        self.points.append((series, step, value))

    def finish(self, summary: Mapping[str, float]) -> None:
        self.summary = dict(summary)


def test_sends_history_and_scores(tmp_path: Path) -> None:
    backends: list[tuple[Recorded, Any]] = []

    def start(folder: Path, config: Mapping[str, Any]) -> Recorded:
        backends.append((Recorded(), config))
        return backends[-1][0]

    tracker = Tracker(start)
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


def test_failing_tracker_is_reported_once(tmp_path: Path) -> None:
    class Broken(Recorded):
        def scalar(self, series: str, step: int, value: float) -> None:
            raise ConnectionError("no answer")

    with with_callbacks(recorded := Warnings()):
        feed(Tracker(lambda *_: Broken()), tmp_path)
    assert recorded.messages == ["Tracking stopped (ConnectionError: no answer). The run continues."]


def test_does_not_send_the_indices_of_forgotten_samples() -> None:
    config = {"unlearning": {"indices": [1, 2], "count": 2}, "seed": 1}
    assert public(config) == {"unlearning": {"indices": "2, left out", "count": 2}, "seed": 1}
    assert public({"seed": 1}) == {"seed": 1}


def test_imports_no_tracker_by_default() -> None:
    code = (
        "import sys, palimpsest.progress.trackers.tracker, palimpsest.cli\n"
        "print({'wandb', 'mlflow', 'tensorboard'} & {*sys.modules})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert result.stdout.strip() == "set()"


def test_rejects_unknown_and_missing_trackers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="mlflow, tensorboard, wandb"):
        make_tracker("neptune")
    monkeypatch.setitem(sys.modules, "palimpsest.progress.trackers.mlflow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'palimpsest-audit\[tracking\]'"):
        make_tracker("mlflow")
