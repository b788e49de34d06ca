"""Checks of the paths that a caller passes."""

from os import PathLike
from pathlib import Path
from typing import cast

from palimpsest.errors import ConfigurationError


def checked_path(value: object, name: str, *, remedy: str) -> Path:
    """Return a path, or refuse a value of another type, such as a mapping.

    Args:
        value: The argument that a caller passed.
        name: Its name.
        remedy: What to pass instead, as a sentence.

    Raises:
        ConfigurationError: The value is neither a string nor a path.
    """
    if isinstance(value, str | PathLike):
        return Path(cast("str | PathLike[str]", value))
    raise ConfigurationError(f"{name} is a {type(value).__name__}, but must be a name or a path. {remedy}")


def refuse_existing(*paths: Path | None, overwrite: bool) -> None:
    """Refuse to write over existing files; call this before any work.

    Args:
        paths: The files that will be written. None stands for a file that will not be written.
        overwrite: Accept existing files.

    Raises:
        ConfigurationError: A file exists, and `overwrite` is False.
    """
    found = [str(path) for path in paths if path is not None and (path.exists() or path.is_symlink())]
    if found and not overwrite:
        verb = "exists" if len(found) == 1 else "exist"
        raise ConfigurationError(
            f"{', '.join(found)} {verb} and would be replaced. Choose another --out, or pass --overwrite."
        )
