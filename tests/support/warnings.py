"""A callback that collects warnings."""

from palimpsest.progress import Callback


class Warnings(Callback):
    """Collect the messages of warnings."""

    def __init__(self) -> None:
        """Start without messages."""
        self.messages: list[str] = []

    def on_warning(self, message: str) -> None:
        """Collect one message."""
        self.messages.append(message)
