import mmap
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from palimpsest.system import peak_memory
from palimpsest.system.peak_memory import start_peak

MIB = 2**20
SLACK = 16 * MIB
"""The system counts pages in batches, and other threads allocate as well."""


@contextmanager
def held(mib: int) -> Iterator[None]:
    """Memory from the system that is written to, and given back in the end."""
    with mmap.mmap(-1, mib * MIB) as block:
        for start in range(0, len(block), mmap.PAGESIZE):
            block[start] = 1
        yield


def test_memory_that_was_allocated_raises_the_peak_and_stays_in_it() -> None:
    peak = start_peak()
    before = peak()
    with held(64):
        during = peak()
    assert during - before >= 64 * MIB - SLACK
    assert peak() >= during - MIB


def test_memory_that_was_freed_before_is_not_in_the_peak() -> None:
    with held(128):
        with_block = start_peak()()
    assert start_peak()() <= with_block - 128 * MIB + SLACK


def test_without_a_count_that_is_reset_it_is_the_processs_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> int:
        raise PermissionError

    monkeypatch.setattr(peak_memory.Path, "write_text", refused)
    monkeypatch.setattr(peak_memory.sys, "platform", "linux")
    expected = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert expected <= start_peak()() <= expected + SLACK
