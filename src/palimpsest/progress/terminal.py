"""Progress as a live line in a terminal."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from palimpsest.progress.callback import Callback
from palimpsest.progress.events import ProgressLine, note


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the number of steps per second."""
        return Text(f"{task.finished_speed or task.speed or 0:,.1f}/s", style="dim")


class Terminal(Callback):
    """Shows long work as a live line at the bottom of a terminal; the line disappears when the work ends.

    Args:
        console: The console. Nothing is shown if it is not a terminal.
    """

    def __init__(self, console: Console) -> None:
        """Prepare the display."""
        # A narrow terminal truncates the note rather than the numbers.
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}", table_column=rest),
            console=console,
            transient=True,
            expand=True,
            disable=not console.is_terminal or console.is_jupyter,
        )
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> "Terminal":
        """Start the display."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the display."""
        self._progress.stop()

    def on_start(self, line: ProgressLine) -> None:
        """Show the line."""
        self._tasks[id(line)] = self._progress.add_task(
            line.description, total=line.total, completed=line.done, note=""
        )

    def on_step(self, line: ProgressLine) -> None:
        """Move the bar."""
        task = self._tasks.get(id(line))
        if task is not None:
            self._progress.update(task, completed=line.done, note=note(line.values))

    def on_end(self, line: ProgressLine) -> None:
        """Remove the line."""
        task = self._tasks.pop(id(line), None)
        if task is not None:
            self._progress.remove_task(task)
