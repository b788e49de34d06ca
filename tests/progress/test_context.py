import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path

import pytest

from palimpsest.progress import Callback, ProgressLine, Stage, callbacks, in_stage, with_callbacks
from palimpsest.progress.context import current_stage


class Closing(Callback):
    def __init__(self) -> None:
        self.open = False

    def __enter__(self) -> "Closing":
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


def test_callbacks_are_active_within_their_context() -> None:
    before = callbacks()
    outer, inner = Closing(), Closing()
    with with_callbacks(outer):
        with with_callbacks(inner):
            assert callbacks() == (*before, outer, inner)
            assert inner.open
        assert callbacks() == (*before, outer)
        assert (outer.open, inner.open) == (True, False)
    assert callbacks() == before
    assert not outer.open


def test_callbacks_are_removed_after_an_error() -> None:
    before = callbacks()
    callback = Closing()
    with suppress(ZeroDivisionError), with_callbacks(callback), in_stage("train"):
        raise ZeroDivisionError
    assert callbacks() == before
    assert current_stage() == ""
    assert not callback.open


def test_failing_callback_leaves_none_active() -> None:
    class Broken(Callback):
        def __enter__(self) -> "Broken":
            raise ZeroDivisionError

    before = callbacks()
    first = Closing()
    with pytest.raises(ZeroDivisionError), with_callbacks(first, Broken()):
        pass
    assert callbacks() == before
    assert not first.open


def test_outer_stage_continues_after_the_inner_one() -> None:
    with in_stage("outer"):
        with in_stage("inner"):
            assert current_stage() == "inner"
        assert current_stage() == "outer"


def test_concurrent_contexts_are_independent() -> None:
    async def work(callback: Callback, stage: str) -> tuple[Callback, int, str]:
        with with_callbacks(callback), in_stage(stage):
            await asyncio.sleep(0)
            return callbacks()[-1], len(callbacks()), current_stage()

    async def both() -> None:
        first, second = Callback(), Callback()
        count = len(callbacks()) + 1
        assert await asyncio.gather(work(first, "a"), work(second, "b")) == [
            (first, count, "a"),
            (second, count, "b"),
        ]

    # A separate thread is needed, because a browser of other tests may run an event loop in this one.
    with ThreadPoolExecutor(1) as executor:
        executor.submit(copy_context().run, asyncio.run, both()).result()


def test_base_callback_accepts_every_event(tmp_path: Path) -> None:
    line = ProgressLine("train", 1)
    with Callback() as callback:
        callback.on_run_start(tmp_path, {})
        callback.on_start(line)
        callback.on_step(line)
        callback.on_end(line)
        callback.on_stage_end(Stage("train", 1.0))
        callback.on_run_end()
