"""Files that are whole or absent: written beside their place, synced, and put there in one step."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from palimpsest.errors import ResourceError, RunError

_PARTIAL = ".partial"


@contextmanager
def written_whole(path: Path, *, private: bool = True) -> Iterator[Path]:
    """A temporary path that takes the place of `path` once all is on disk, so that no reader sees half a file.

    Args:
        path: Where the file shall stand.
        private: Readable by its owner only: the file may hold somebody's images.

    Raises:
        ResourceError: The disk is full.
        RunError: The folder can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create_private(temporary)
        yield temporary
        temporary.chmod(0o600 if private else 0o644)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _explain(error, path) from error
    except SafetensorError as error:
        # safetensors reports a failed write in words only.
        if "No space left" in str(error) or "os error 28" in str(error):
            raise _full(path) from error
        raise RunError(f"{path} can't be written: {error}. Choose a folder that you may write to.") from error
    finally:
        # Where the folder itself could not be made, there is nothing to remove either.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove what killed writers left in a folder; to be called by its only writer."""
    for left in folder.rglob(f".*{_PARTIAL}"):
        left.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = True) -> None:
    """Write a text file, whole or not at all; arguments and errors as for `written_whole`."""
    with written_whole(path, private=private) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _create_private(path: Path) -> None:
    """An empty file that nobody else may read, also while it is being written; what stood there is removed."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _full(path: Path) -> ResourceError:
    return ResourceError(
        f"The disk is full: {path} was not written. Make room and run the same command again; "
        "finished stages are kept."
    )


def _explain(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path)
    reason = error.strerror or error
    return RunError(f"{path} can't be written ({reason}): choose a folder that you may write to.")
