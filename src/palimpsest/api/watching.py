"""How a call shows its progress: in a terminal and in a notebook, and nowhere else."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console

from palimpsest.progress import live_progress


@contextmanager
def watched(*, quiet: bool) -> Generator[Console]:
    """A console that shows each stage while the context lasts, where somebody watches.

    Args:
        quiet: Show nothing.
    """
    console = Console(soft_wrap=True)
    if quiet or not (console.is_terminal or console.is_jupyter):
        console = Console(quiet=True)
    with live_progress(console):
        yield console
