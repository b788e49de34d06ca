"""Trackers: the real ones, offline, each fed by a real audit's events."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from palimpsest.config import read_config
from palimpsest.errors import ConfigurationError
from palimpsest.metrics import Metrics
from palimpsest.progress import Callback, Stage, in_stage, progress_line, with_callbacks
from palimpsest.progress.trackers.tracker import Tracker, make_tracker, public

LOSSES = (0.5, 0.25, 0.125)


class Recorded:
    def __init__(self) -> None:
        self.points: list[tuple[str, int, float]] = []
        self.summary: dict[str, float] = {}

    def scalar(self, series: str, step: int, value: float) -> None:
        self.points.append((series, step, value))

    def finish(self, summary: Mapping[str, float]) -> None:
        self.summary = dict(summary)


METRICS = Metrics.model_validate(
    {
        "attack": {"epochs": 3},
        "seconds": {"x": 1},
        "reconstruction": {"mse": 0.01, "count": 4, "identification_top1": 0.5, "identification_top5": 1.0},
        "intervals": {"mse": [0.009, 0.011]},
    }
)


def feed(callback: Callback, folder: Path) -> None:
    """What an audit tells: two works of one name, a stage, its scores."""
    folder.mkdir(exist_ok=True)
    config = read_config("digits", {"unlearning": {"indices": [31337, 31338]}}).model_dump(mode="json")
    with with_callbacks(callback):
        callback.on_run_start(folder, config)
        with in_stage("inverter"):
            for scale in (1, 2):
                with progress_line("train", 3) as line:
                    for loss in LOSSES:
                        line.advance(values={"loss": scale * loss})
        callback.on_stage_end(Stage("inverter", 1.5))
        callback.on_metrics(METRICS)
        callback.on_run_end()


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


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    feed(make_tracker("tensorboard", pytest.fail), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    curve = events.Scalars("inverter/train/loss")
    assert [(point.step, point.value) for point in curve] == list(enumerate(LOSSES, 1))
    assert events.Scalars("reconstruction/mse")[0].value == pytest.approx(0.01)
    text = events.Tensors("configuration/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "digits" in text
    assert "31337" not in text


_OFFLINE = """
import sys
from pathlib import Path
from tests.progress.trackers.test_tracker import feed
from palimpsest.progress.trackers.tracker import make_tracker

complaints = []
feed(make_tracker(sys.argv[1], complaints.append), Path(sys.argv[2]))
assert not complaints, complaints
"""


def offline(name: str, folder: Path, **environment: str) -> None:
    """In a process of its own: these trackers start services and set global state."""
    import os

    told = subprocess.run(
        [sys.executable, "-c", _OFFLINE, name, str(folder)],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | environment,
        timeout=200,
    )
    assert told.returncode == 0, told.stderr


def test_wandb_keeps_a_run_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    offline("wandb", tmp_path, WANDB_MODE="offline")
    (record,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = record.read_bytes()
    assert b"inverter/train/loss" in content
    assert b"reconstruction/mse" in content
    assert b"31337" not in content


def test_mlflow_holds_curves_parameters_and_scores(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    offline("mlflow", tmp_path / "run", MLFLOW_TRACKING_URI=uri)
    code = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
(run,) = client.search_runs([client.get_experiment_by_name("palimpsest").experiment_id])
history = client.get_metric_history(run.info.run_id, "inverter/train/loss")
print(json.dumps([run.info.status, run.info.run_name, run.data.params, run.data.metrics,
    sorted((one.step, one.value) for one in history)]))
"""
    told = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, check=False, text=True)
    assert told.returncode == 0, told.stderr
    status, name, params, metrics, history = json.loads(told.stdout.splitlines()[-1])
    assert (status, name) == ("FINISHED", "run")
    assert params["data.name"] == "digits"
    assert "31337" not in params["unlearning.indices"]
    assert metrics["reconstruction/mse"] == 0.01
    assert history == [list(point) for point in enumerate(LOSSES, 1)]
