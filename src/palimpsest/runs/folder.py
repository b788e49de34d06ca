"""The run folder: its default path, its lock, and what it must not contain or allow."""

import fcntl
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from palimpsest.config import RunConfig
from palimpsest.errors import RunError
from palimpsest.progress import warn


def default_folder(name: str, config: RunConfig) -> Path:
    """Return the default run folder of a configuration, so that the same command resumes its run.

    Args:
        name: The preset or the YAML file, which gives the folder its name.
        config: The configuration, whose hash is part of the name.
    """
    digest = sha256(config.model_dump_json().encode()).hexdigest()[:8]
    return Path("runs") / f"{Path(name).stem}-{digest}"


def lock_folder(folder: Path) -> int:
    """Create a run folder if necessary, and lock it while the returned descriptor is open and the process runs.

    Raises:
        RunError: Another process is using the folder, or it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RunError(
            f"{folder} can't be used ({error.strerror}). Choose another folder with --out."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise RunError(f"Another process is using {folder}. Wait for it, or choose another --out.") from error
    return lock


def refuse_links(folder: Path) -> None:
    """Reject links, pipes and devices: they could make a run write elsewhere on this machine or wait forever.

    Args:
        folder: The run folder.

    Raises:
        RunError: The folder has one of these.
    """
    for path in folder.iterdir():
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RunError(
                f"{path} is a link or a special file, which a run folder must not contain. Remove it."
            )


def make_private(folder: Path) -> None:
    """Deny other users access to an existing folder, or warn if that is not possible.

    Args:
        folder: The run folder.
    """
    with suppress(OSError):
        folder.chmod(0o700)
    if folder.stat().st_mode & 0o077:
        warn(
            f"{folder} can be read by other users, but a run holds people's images. Restrict its permissions."
        )
