from contextlib import suppress
from typing import Any

from palimpsest.progress import (
    Callback,
    ProgressLine,
    callbacks,
    in_stage,
    progress_line,
    track,
    with_callbacks,
)


class Recorder(Callback):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_start(self, line: ProgressLine) -> None:
        self.events.append("started")

    def on_step(self, line: ProgressLine) -> None:
        self.events.append((line.stage, line.done, line.values))

    def on_end(self, line: ProgressLine) -> None:
        self.events.append("ended")


def test_active_callbacks_receive_progress_with_its_stage() -> None:
    recorder = Recorder()
    with with_callbacks(recorder), in_stage("original"):
        assert callbacks()[1:] == (recorder,)
        with suppress(ZeroDivisionError), progress_line("train", 2) as line:
            line.advance(values={"loss": 1.0})
            raise ZeroDivisionError
    assert recorder not in callbacks()
    line.advance()
    assert recorder.events == ["started", ("original", 1, {"loss": 1.0}), "ended"]


def test_track_reports_each_step() -> None:
    recorder = Recorder()
    with with_callbacks(recorder):
        assert list(track(iter("ab"), "letters", 2)) == ["a", "b"]
    assert recorder.events == ["started", ("", 1, {}), ("", 2, {}), "ended"]
