"""Warnings as lines on standard error."""

from rich.console import Console
from rich.text import Text

from palimpsest.display import escape_control_characters
from palimpsest.progress import Callback


class WarningLines(Callback):
    """Prints each distinct warning once.

    Args:
        console: The console to print to. If omitted, it is standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Start with nothing printed."""
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._printed = set[str]()

    def on_warning(self, message: str) -> None:
        """Print the warning."""
        if message not in self._printed:
            self._printed.add(message)
            # A message may quote names from an untrusted folder or checkpoint.
            self._console.print(
                Text.assemble(("Warning ", "bold yellow"), escape_control_characters(message)),
                highlight=False,
            )
