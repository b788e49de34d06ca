"""Progress in a notebook cell, without widgets."""

import time
from collections.abc import Callable
from html import escape

from palimpsest.progress.callback import Callback
from palimpsest.progress.events import ProgressLine, Stage

_EVERY = 0.25


class Notebook(Callback):
    """Shows finished stages, warnings and live progress in the output of a notebook cell.

    Args:
        show: Displays HTML in place of what it displayed before. If omitted, it is the output of the current cell.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        """Prepare the output."""
        self._show = show or _cell()
        self._lines: list[str] = []
        self._open: list[ProgressLine] = []
        self._drawn = 0.0

    def __exit__(self, *_: object) -> None:
        """Remove unfinished lines."""
        self._open.clear()
        self._draw()

    def on_start(self, line: ProgressLine) -> None:
        """Show the line."""
        self._open.append(line)
        self._draw()

    def on_step(self, line: ProgressLine) -> None:
        """Update the output, at most four times a second."""
        if time.monotonic() - self._drawn >= _EVERY:
            self._draw()

    def on_end(self, line: ProgressLine) -> None:
        """Remove the line."""
        if line in self._open:
            self._open.remove(line)

    def on_stage_end(self, stage: Stage) -> None:
        """Show the finished stage."""
        self._lines.append(f"{stage.name:<28} {stage}")
        self._draw()

    def on_warning(self, message: str) -> None:
        """Show the warning."""
        self._lines.append(f"Warning: {message}")
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        lines = [escape(line) for line in self._lines]
        lines += [
            f'<progress max="{line.total}" value="{line.done}"></progress> {escape(str(line))}'
            for line in self._open
        ]
        self._show("<pre>" + "\n".join(lines) + "</pre>" if lines else "")


def _cell() -> Callable[[str], None]:
    from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

    handle = display(HTML(""), display_id=True)
    assert handle is not None, "display_id=True returns a handle"
    return lambda text: handle.update(HTML(text))
