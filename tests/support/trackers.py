"""Events of an audit for trackers that run offline."""

import os
import subprocess
import sys
from pathlib import Path

from palimpsest.config import read_config
from palimpsest.metrics import Metrics
from palimpsest.progress import Callback, Stage, in_stage, progress_line, with_callbacks

LOSSES = (0.5, 0.25, 0.125)
METRICS = Metrics.model_validate(
    {
        "attack": {"epochs": 3},
        "seconds": {"x": 1},
        "reconstruction": {"mse": 0.01, "count": 4, "identification_top1": 0.5, "identification_top5": 1.0},
        "intervals": {"mse": [0.009, 0.011]},
    }
)


def feed(callback: Callback, folder: Path) -> None:
    """Send the events of an audit: two progress lines of one name, a stage and its scores."""
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


_OFFLINE = """
import sys
from pathlib import Path
from tests.support.trackers import feed
from tests.support.warnings import Warnings
from palimpsest.progress import with_callbacks
from palimpsest.progress.trackers.tracker import make_tracker

with with_callbacks(recorded := Warnings()):
    feed(make_tracker(sys.argv[1]), Path(sys.argv[2]))
assert not recorded.messages, recorded.messages
"""


def track_offline(name: str, folder: Path, **environment: str) -> None:
    """Feed a tracker in another process, because it starts services and sets global state.

    Args:
        name: The tracker's name.
        folder: The run folder.
        environment: Additional environment variables.
    """
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE, name, str(folder)],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
