"""Where a call reports its progress: a terminal, a notebook, a log file, JSON lines, trackers."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from rich.console import Console

from palimpsest.progress import Callback, JsonLines, LogFile, Notebook, Terminal, with_callbacks


@dataclass(frozen=True)
class Reporting:
    """What a running call prints to and is called by.

    Args:
        console: Where each stage prints its line.
        command: The command line that makes the result again; empty for a call from Python.
    """

    console: Console
    command: str = ""


_active: ContextVar[Reporting | None] = ContextVar("reporting", default=None)


@contextmanager
def reporting(
    *,
    quiet: bool = False,
    machine: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
    everywhere: bool = False,
    command: str = "",
) -> Generator[Reporting]:
    """Report the stages and the progress of the calls in this context; inside another such context that one goes on.

    The command line opens one around the function that it calls, with what only a command has.

    Args:
        quiet: Show nothing; logs and trackers still receive everything.
        machine: Write JSON lines to the standard output instead.
        log: A file that grows by a line for each stage, and now and then for what takes long.
        track: Trackers to pass curves and scores on to, by their modules' names: tensorboard, wandb, mlflow.
        everywhere: Print the stages' lines also where the standard output is neither a terminal nor a notebook.
        command: The command line, for the report's "how to make it again".

    Raises:
        ConfigurationError: A tracker does not exist or is not installed.
        RunError: The log can't be written.
    """
    outer = _active.get()
    if outer is not None:
        yield outer
        return
    console = Console(soft_wrap=True, quiet=quiet or machine)
    silent = Console(quiet=True)
    if not (everywhere or console.is_terminal or console.is_jupyter):
        console = silent
    callbacks: list[Callback] = []
    if machine:
        callbacks.append(JsonLines(sys.stdout))
    elif console.is_jupyter and not quiet:
        console = silent
        callbacks.append(Notebook())
    elif not quiet:
        callbacks.append(Terminal(console))
    if log is not None:
        callbacks.append(LogFile(Path(log)))
    callbacks += _trackers(track)
    active = Reporting(console, command)
    token = _active.set(active)
    try:
        with with_callbacks(*callbacks):
            yield active
    finally:
        _active.reset(token)


def _trackers(names: Sequence[str]) -> list[Callback]:
    if not names:
        return []
    from palimpsest.progress.trackers import make_tracker

    complaints = Console(stderr=True, soft_wrap=True)
    return [
        make_tracker(name, lambda text: complaints.print(text, highlight=False, markup=False))
        for name in dict.fromkeys(names)
    ]
