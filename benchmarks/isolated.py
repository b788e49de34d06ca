"""Work in a process of its own, so that what it holds can be told from what others left behind."""

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
    """The result of a call in a new process with as many threads, and the most MiB that the process held.

    Args:
        work: A function of a module; it and its arguments are pickled.
        arguments: Its arguments.
        named: Those that are named.
    """
    threads = torch.get_num_threads()
    with ProcessPoolExecutor(1, get_context("spawn"), _prepare, (threads,)) as pool:
        result = pool.submit(work, *arguments, **named).result()
        return result, pool.submit(_peak).result()


def in_place(work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> tuple[R, float]:
    """The same in this process, without the seconds that a new one takes: the peak is of all that it ever did."""
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
