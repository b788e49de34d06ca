"""Name of the distribution on the package index, its version, and the commands that install its extras."""

from typing import Literal

DISTRIBUTION = "palimpsest-audit"
"""Name that pip installs. The index has an unrelated project with the name of the import package, `palimpsest`."""

Extra = Literal["datasets", "flower", "http", "perceptual", "tracking"]
"""Groups of optional requirements that a user installs by name."""


def palimpsest_version() -> str:
    """Return the version of the installed distribution."""
    # Imported late because most programs that import the package never ask.
    from importlib.metadata import version

    return version(DISTRIBUTION)


def install_command(extra: Extra) -> str:
    """Return the command that installs an extra.

    Args:
        extra: Name of the extra.

    Example:
        >>> install_command("flower")
        "pip install 'palimpsest-audit[flower]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
