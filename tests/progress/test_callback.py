import inspect
from pathlib import Path
from typing import Any

import pytest

from palimpsest.progress.callback import Callback
from palimpsest.progress.events import ProgressLine, Stage


class Scores:
    """The final metrics of a run."""

    def scalars(self) -> dict[str, float]:
        return {"mse": 0.5}

    def summary(self) -> str:
        return "MSE 0.5"


LINE = ProgressLine("inverter", 3)
EVENTS: dict[str, tuple[Any, ...]] = {
    "on_run_start": (Path("run"), {"seed": 1}),
    "on_start": (LINE,),
    "on_step": (LINE,),
    "on_end": (LINE,),
    "on_stage_end": (Stage("train", 2.0),),
    "on_metrics": (Scores(),),
    "on_run_end": (),
    "on_warning": ("keep them out",),
}


def test_covers_every_event() -> None:
    methods = inspect.getmembers(Callback, inspect.isfunction)
    assert {name for name, _ in methods if name.startswith("on_")} == set(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_default_events_do_nothing(event: str) -> None:
    callback = Callback()
    assert getattr(callback, event)(*EVENTS[event]) is None
    assert vars(callback) == {}
    assert (LINE.done, LINE.values) == (0, {})


def test_context_returns_the_callback_and_propagates_errors() -> None:
    callback = Callback()
    with callback as entered:
        assert entered is callback
    error = ZeroDivisionError()
    assert not callback.__exit__(type(error), error, None)
