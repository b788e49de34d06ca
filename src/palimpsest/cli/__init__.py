"""The command line: each command is one file, which parses, calls and prints."""

from typing import TYPE_CHECKING, Any

from palimpsest.cli.main import main, make_app

if TYPE_CHECKING:
    from cyclopts import App

    app: App

__all__ = ["app", "main", "make_app"]


def __getattr__(name: str) -> Any:
    # Made when it is asked for: the command line makes another one, for its own arguments.
    if name == "app":
        return make_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
