import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.progress import ProgressLine, Stage, events
from palimpsest.progress.events import clock, note


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(events, "time", clock)
    return clock


def test_rate_and_time_left_exclude_steps_of_an_earlier_process(time: Clock) -> None:
    line = ProgressLine("train", 40, done=30)
    assert line.seconds_left is None
    time.now = 2
    line.advance(4)
    assert line.rate == 2
    assert line.seconds_left == 3
    assert str(line) == "train 34/40, 2.0/s, 0:00:03 left"


def test_line_shows_measured_values(time: Clock) -> None:
    time.now = 1
    line = ProgressLine("train", 2)
    time.now = 2
    line.advance(values={"loss": 0.123456, "validation MSE": 12345.678})
    assert str(line).endswith("0:00:01 left, loss 0.1235, validation MSE 1.235e+04")
    assert clock(7384) == "2:03:04"


def test_each_step_is_reported_with_its_values() -> None:
    reported: list[tuple[int, dict[str, float]]] = []
    line = ProgressLine("train", 5, notify=lambda line: reported.append((line.done, line.values)))
    line.advance(values={"loss": 0.5})
    line.advance(3)
    assert reported == [(1, {"loss": 0.5}), (4, {})]


@given(st.integers(0, 10**6))
def test_clock_preserves_the_duration(seconds: int) -> None:
    hours, minutes, rest = clock(seconds).split(":")
    assert (len(minutes), len(rest)) == (2, 2)
    assert int(hours) * 3600 + int(minutes) * 60 + int(rest) == seconds


def test_values_have_four_digits() -> None:
    assert note({"loss": 1 / 3, "steps": 12}) == "loss 0.3333, steps 12"
    assert note({}) == ""


def test_cached_stage_shows_its_original_duration() -> None:
    assert str(Stage("train", 1.25, 3 * 2**30)) == "1.2 s, peak 3.0 GiB"
    assert str(Stage("train", 1.25, kept=True)) == "kept (took 1.2 s)"
