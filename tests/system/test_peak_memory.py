import mmap
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from palimpsest.system import peak_memory
from palimpsest.system.peak_memory import start_peak

MIB = 2**20
SLACK = 16 * MIB
"""Tolerance: the system counts pages in batches, and other threads allocate as well."""


@contextmanager
def allocated(mib: int) -> Iterator[None]:
    """Allocate memory from the system, write to it, and free it at the end."""
    with mmap.mmap(-1, mib * MIB) as block:
        for start in range(0, len(block), mmap.PAGESIZE):
            block[start] = 1
        yield


def test_allocated_memory_raises_the_peak_for_good() -> None:
    peak = start_peak()
    before = peak()
    with allocated(64):
        during = peak()
    assert during - before >= 64 * MIB - SLACK
    assert peak() >= during - MIB


def test_memory_freed_before_is_not_in_the_peak() -> None:
    with allocated(128):
        with_block = start_peak()()
    assert start_peak()() <= with_block - 128 * MIB + SLACK


def test_falls_back_to_the_peak_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError

    monkeypatch.setattr(peak_memory.Path, "write_text", refuse)
    monkeypatch.setattr(peak_memory.sys, "platform", "linux")
    expected = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert expected <= start_peak()() <= expected + SLACK
