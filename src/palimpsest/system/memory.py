"""Amounts of memory, how much is free, and the allocator policy of the command line."""

import ctypes
import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from palimpsest.errors import ResourceError

DEFAULT_BUDGET = 4 * 2**30
"""Bytes that gradients and reductions may take, unless the caller passes another number."""

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SMALL_FILE = 2**26
# As glibc's <malloc.h> names and numbers them.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# The largest block that is kept, which is glibc's own limit, and how much may be free at the end of the heap.
_LARGEST_KEPT, _MOST_KEPT = 2**25, 2**28


def parse_bytes(value: object) -> int:
    """A number of bytes from `4GiB`, `500 MB` or a plain number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([KMG]i?B|B)\s*", str(value))
    if match is None:
        raise ValueError(f"{str(value)[:80]!r} is not an amount of memory, such as '4GiB' or '500MB'")
    return int(float(match[1]) * _UNITS[match[2]])


def format_bytes(count: int) -> str:
    """The shortest text that `parse_bytes` reads back exactly."""
    for unit in ("GiB", "MiB", "KiB"):
        if count % _UNITS[unit] == 0:
            return f"{count // _UNITS[unit]}{unit}"
    return f"{count}B"


Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes, json_schema_input_type=str),
    PlainSerializer(format_bytes),
    Field(ge=64 * 2**20),
]
"""An amount of memory, at least 64 MiB."""


def require_memory(what: str, needed: int, *, remedy: str) -> None:
    """Refuse work that would not fit before it starts; otherwise the system would kill the process in the middle.

    Args:
        what: The work, as the beginning of a sentence.
        needed: Bytes that it holds at once.
        remedy: What to change.

    Raises:
        ResourceError: Less is free.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise ResourceError(
            f"{what} need {needed / 2**30:.1f} GiB of memory at once, and {free / 2**30:.1f} GiB are free: {remedy}."
        )


def require_room(path: Path, size: int) -> None:
    """Refuse to read a file whose content would not fit: a sparse file takes no disk space, and may have any size.

    Args:
        path: The file.
        size: Bytes of the file that are read into memory.

    Raises:
        ResourceError: Less memory is free.
    """
    # Asking the system takes longer than reading a small file.
    if size > _SMALL_FILE:
        require_memory(f"The contents of {path}", size, remedy="give a smaller file, or free memory")


class _AllocatorPolicy:
    """Whether this process keeps freed memory; off until the program that owns the process turns it on."""

    keeps_freed_memory = False


def keep_freed_memory() -> None:
    """Make the C library keep freed memory for later tensors, in the whole process and from here on.

    By default glibc returns large blocks to the system and requests them again, and the system clears each page. That
    is a fifth of the time of an inverter's training. With this policy glibc keeps blocks of up to 32 MiB until
    `give_back_freed_memory`. Other C libraries are left as they are.

    Only a program that owns its process may call this: the command line does when it starts, the library never does.
    """
    _AllocatorPolicy.keeps_freed_memory = True
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, _LARGEST_KEPT)
    _call_glibc("mallopt", _M_TRIM_THRESHOLD, _MOST_KEPT)


def give_back_freed_memory() -> None:
    """Make the C library return freed memory to the system; without effect unless `keep_freed_memory` was called."""
    if _AllocatorPolicy.keeps_freed_memory:
        _call_glibc("malloc_trim", 0)


def _call_glibc(name: str, *arguments: int) -> None:
    # Another C library has no such function, and Windows no such library.
    try:
        getattr(ctypes.CDLL(None), name)(*arguments)
    except (AttributeError, OSError, TypeError):
        return


def available_memory() -> int | None:
    """Bytes that this process can allocate without swapping; None if the system does not report it.

    The smaller of the system's free memory and the remaining memory of the container's control group.
    """
    amounts = [_system_memory(), _group_memory(Path("/sys/fs/cgroup"))]
    known = [amount for amount in amounts if amount is not None]
    return min(known) if known else None


def _system_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _group_memory(folder: Path) -> int | None:
    """Remaining bytes of a control group (version 2); cached pages of files count as free."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        files = next(int(line.split()[1]) for line in statistics if line.startswith("inactive_file "))
        return None if limit == "max" else max(0, int(limit) - used + files)
    except (OSError, ValueError, StopIteration):
        return None
