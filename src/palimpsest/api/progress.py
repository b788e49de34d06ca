"""Progress reports of a call: to a terminal, a notebook, a log file, JSON lines or trackers."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from rich.console import Console

from palimpsest.api.warning_lines import WarningLines
from palimpsest.progress import Callback, JsonLines, LogFile, Notebook, Terminal, warn, with_callbacks
from palimpsest.system.threads import share_cores


@dataclass(frozen=True)
class Reporting:
    """The output of a running call.

    Args:
        console: The console on which each stage prints a line.
        command: The command line that reproduces the result; empty for a call from Python.
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
    owns_process: bool = False,
    command: str = "",
) -> Generator[Reporting]:
    """Report the stages and the progress of all calls in this context.

    A nested context has no effect: the outermost one stays active. The command line opens one around the function that
    it calls, with the settings that only a command has.

    Args:
        quiet: Show nothing, not even warnings. Logs and trackers still receive everything.
        machine: Write JSON lines to standard output instead.
        log: A log file to append to: one line for each stage, and occasional progress of long stages.
        track: Trackers that receive training history and scores, by module name: `tensorboard`, `wandb`, `mlflow`.
        owns_process: The caller is a command. Print the stages' lines even if standard output is neither a terminal nor
            a notebook, and use fewer threads if other programs keep cores busy.
        command: The command line, which the report shows for reproducing the run.

    Yields:
        The active output: that of the outermost context.

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
    if not (owns_process or console.is_terminal or console.is_jupyter):
        console = silent
    callbacks: list[Callback] = []
    if machine:
        callbacks.append(JsonLines(sys.stdout))
    elif console.is_jupyter and not quiet:
        console = silent
        callbacks.append(Notebook())
    elif not quiet:
        callbacks.append(Terminal(console))
        if console is not silent:
            callbacks.append(WarningLines())
    if log is not None:
        callbacks.append(LogFile(Path(log)))
    callbacks += _trackers(track)
    active = Reporting(console, command)
    token = _active.set(active)
    try:
        with with_callbacks(*callbacks):
            if owns_process and (reduced := share_cores()):
                warn(reduced)
            yield active
    finally:
        _active.reset(token)


def _trackers(names: Sequence[str]) -> list[Callback]:
    if not names:
        return []
    from palimpsest.progress.trackers import make_tracker

    return [make_tracker(name) for name in dict.fromkeys(names)]
