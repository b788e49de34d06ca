"""The command line; each module holds one command, which parses, calls the API and prints."""

from typing import TYPE_CHECKING, Any

from palimpsest.cli import main as commands
from palimpsest.cli.main import main, make_app

if TYPE_CHECKING:
    from cyclopts import App

    app: App

__all__ = ["app", "main", "make_app"]


def __getattr__(name: str) -> Any:
    """Return the app with all flags, which is slow to build, only when it is used."""
    if name == "app":
        return getattr(commands, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
