"""Who is told while something runs: a terminal, a notebook, a log file, a machine, trackers."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from palimpsest.progress import Callback, JsonLines, LogFile, Notebook, Terminal, with_callbacks


@contextmanager
def watched(
    *,
    quiet: bool = False,
    machine: bool = False,
    log: Path | None = None,
    track: Sequence[str] = (),
    everywhere: bool = False,
) -> Generator[Console]:
    """A console for each stage's line, and a live line about what takes long, while the context lasts.

    Args:
        quiet: Show nothing; logs and trackers are still told.
        machine: Show JSON lines on the standard output instead.
        log: A file that grows by a line for each stage, and now and then for what takes long.
        track: Trackers to pass curves and scores on to: tensorboard, wandb, mlflow.
        everywhere: Print the stages' lines also where the standard output is neither a terminal nor a notebook.

    Raises:
        ConfigurationError: A tracker does not exist or is not installed.
        RunError: The log can't be written.
    """
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
        callbacks.append(LogFile(log))
    if track:
        from palimpsest.progress.trackers.tracker import make_tracker

        complaints = Console(stderr=True, soft_wrap=True)
        callbacks += [
            make_tracker(name, lambda text: complaints.print(text, highlight=False, markup=False))
            for name in dict.fromkeys(track)
        ]
    with with_callbacks(*callbacks):
        yield console
