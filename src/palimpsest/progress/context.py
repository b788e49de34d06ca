"""The active callbacks, which receive progress while a context lasts. The logger's is always among them."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from palimpsest.progress.callback import Callback
from palimpsest.progress.log_records import LogRecords

_callbacks: ContextVar[tuple[Callback, ...]] = ContextVar("callbacks", default=(LogRecords(),))
_stage: ContextVar[str] = ContextVar("stage", default="")


def callbacks() -> tuple[Callback, ...]:
    """The active callbacks."""
    return _callbacks.get()


def current_stage() -> str:
    """The stage that is being computed; empty between stages."""
    return _stage.get()


def warn(message: str) -> None:
    """Report to the active callbacks what needs the user's attention while the run goes on."""
    for callback in callbacks():
        callback.on_warning(message)


@contextmanager
def with_callbacks(*joining: Callback) -> Generator[None]:
    """Add callbacks while the context lasts."""
    with ExitStack() as stack:
        for callback in joining:
            stack.enter_context(callback)
        token = _callbacks.set((*_callbacks.get(), *joining))
        try:
            yield
        finally:
            _callbacks.reset(token)


@contextmanager
def in_stage(name: str) -> Generator[None]:
    """Assign the work of this context to a stage."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)
