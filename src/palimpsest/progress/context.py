"""The active callbacks, which receive progress within a context; the logger is always one of them."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from palimpsest.progress.callback import Callback
from palimpsest.progress.log_records import LogRecords

_callbacks: ContextVar[tuple[Callback, ...]] = ContextVar("callbacks", default=(LogRecords(),))
_stage: ContextVar[str] = ContextVar("stage", default="")


def callbacks() -> tuple[Callback, ...]:
    """Return the active callbacks."""
    return _callbacks.get()


def current_stage() -> str:
    """Return the stage that is being computed; empty between stages."""
    return _stage.get()


def warn(message: str) -> None:
    """Report a warning to the active callbacks; the run continues."""
    for callback in callbacks():
        callback.on_warning(message)


@contextmanager
def with_callbacks(*joining: Callback) -> Generator[None]:
    """Activate callbacks within the context."""
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
    """Assign the work within the context to a stage."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)
