"""Atomic writes: a temporary file is written, synced, and moved into place."""

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
    """Yield a temporary path that replaces `path` once it is on disk, so that no reader sees a partial file.

    Args:
        path: The path of the final file.
        private: Allow only the owner to read the file, because it may hold people's images.

    Yields:
        The temporary path to write to.

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
        # safetensors reports a failed write only in the text of the error.
        if "No space left" in str(error) or "os error 28" in str(error):
            raise _full(path) from error
        raise RunError(f"{path} can't be written ({error}). Choose a writable folder.") from error
    finally:
        # If the folder could not be created, there is no file to remove.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove the temporary files of interrupted writes; call it only if no other process writes to the folder."""
    for partial in folder.rglob(f".*{_PARTIAL}"):
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = True) -> None:
    """Write a text file atomically; arguments and errors as for `written_whole`."""
    with written_whole(path, private=private) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value atomically as indented JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def file_hash(path: Path) -> str:
    """Return the SHA-256 hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _create_private(path: Path) -> None:
    """Create an empty file that only the owner can read, and remove any existing one."""
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
        f"The disk is full, so {path} was not written. Free some space and run the same command again. Finished stages "
        "are kept."
    )


def _explain(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path)
    reason = error.strerror or error
    return RunError(f"{path} can't be written ({reason}). Choose a writable folder.")
