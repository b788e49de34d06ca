"""Measurement of peak memory in a separate process, unaffected by earlier work."""

import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from palimpsest.system.memory import keep_freed_memory

P = ParamSpec("P")
R = TypeVar("R")


def isolated(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> tuple[R, float]:
    """Call a function in a new process with the same number of threads.

    Args:
        work: A module-level function; it and its arguments are pickled.
        arguments: Positional arguments.
        named: Keyword arguments.

    Returns:
        The function's result, and the peak memory of the process in MiB.
    """
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(1, get_context("spawn"), _prepare, (threads,)) as pool:
        result = pool.submit(work, *arguments, **named).result()
        return result, pool.submit(_peak).result()


def in_place(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> tuple[R, float]:
    """Call a function in this process, which saves starting a new one; the peak covers the whole process so far."""
    return work(*arguments, **named), _peak()


def _prepare(threads: int) -> None:
    keep_freed_memory()
    torch.set_num_threads(threads)


def _peak() -> float:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
