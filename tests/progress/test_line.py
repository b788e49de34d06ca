from contextlib import suppress
from typing import Any

import pytest

from palimpsest.progress import (
    Callback,
    ProgressLine,
    callbacks,
    events,
    in_stage,
    progress_line,
    track,
    with_callbacks,
)
from palimpsest.progress.events import clock


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(events, "time", clock)
    return clock


class Recorder(Callback):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_start(self, line: ProgressLine) -> None:
        self.told.append("began")

    def on_step(self, line: ProgressLine) -> None:
        self.told.append((line.stage, line.done, line.values))

    def on_end(self, line: ProgressLine) -> None:
        self.told.append("ended")


def test_rate_and_time_left_do_not_count_what_an_earlier_process_did(time: Clock) -> None:
    done = ProgressLine("train", 40, done=30)
    assert done.seconds_left is None
    time.now = 2
    done.advance(4)
    assert done.rate == 2
    assert done.seconds_left == 3
    assert str(done) == "train 34/40, 2.0/s, 0:00:03 left"


def test_a_line_says_what_was_measured(time: Clock) -> None:
    time.now = 1
    line = ProgressLine("train", 2)
    time.now = 2
    line.advance(values={"loss": 0.123456, "validation MSE": 12345.678})
    assert str(line).endswith("0:00:01 left, loss 0.1235, validation MSE 1.235e+04")
    assert clock(7384) == "2:03:04"


def test_watchers_are_told_while_they_watch_and_of_the_stage() -> None:
    recorder = Recorder()
    with with_callbacks(recorder), in_stage("original"):
        assert callbacks()[1:] == (recorder,)
        with suppress(ZeroDivisionError), progress_line("train", 2) as line:
            line.advance(values={"loss": 1.0})
            raise ZeroDivisionError
    assert recorder not in callbacks()
    line.advance()
    assert recorder.told == ["began", ("original", 1, {"loss": 1.0}), "ended"]


def test_iterating_tells_each_step() -> None:
    recorder = Recorder()
    with with_callbacks(recorder):
        assert list(track(iter("ab"), "letters", 2)) == ["a", "b"]
    assert recorder.told == ["began", ("", 1, {}), ("", 2, {}), "ended"]
