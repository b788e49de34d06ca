"""Whatever stops an audit: nothing is lost, nothing is half, and the same command ends with the same bits."""

import errno
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fuzz.kills import bits, half_files, kill_at_every_write, kill_at_random, reference
from fuzz.workloads import LIVES, config

from palimpsest.errors import ResourceError, RunError
from palimpsest.pipeline.audit import audit


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The bits of an audit that nothing stops, in a process of its own."""
    return reference(tmp_path_factory.mktemp("reference") / "run")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Bits are promised for one number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_kills_at_every_other_step_of_the_writes(expected: dict[str, str], tmp_path: Path) -> None:
    toll = kill_at_every_write(tmp_path / "run", expected, every=2)
    assert toll.broken == []
    assert toll.kills > 30


def test_kills_at_random_moments(expected: dict[str, str], tmp_path: Path) -> None:
    toll = kill_at_random(tmp_path, expected, kills=4, seed=int(time.time()))
    assert toll.broken == []
    assert toll.kills == 4


@pytest.mark.parametrize("what", sorted(set(LIVES) - {"audit"}))
def test_other_runs_are_killed_at_random_moments(what: str, tmp_path: Path) -> None:
    """Attacks on what was brought, and a sweep: they stand on the same writes and stages."""
    toll = kill_at_random(
        tmp_path, reference(tmp_path / "reference", what), kills=2, seed=int(time.time()), what=what
    )
    assert toll.broken == []
    assert toll.kills == 2


def test_a_stage_that_is_lost_is_made_again_to_the_same_bits(
    expected: dict[str, str], tmp_path: Path
) -> None:
    """What a network computes depends on how its numbers lie in memory: read back, they lie as they did."""
    audit(config(), out=tmp_path / "run")
    (tmp_path / "run" / "reconstructions.safetensors").unlink()
    audit(config(), out=tmp_path / "run")
    assert bits(tmp_path / "run") == expected


@pytest.mark.parametrize("write", [2, 9])
def test_a_full_disk_is_a_sentence_and_what_was_finished_is_kept(
    write: int, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, writes = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal writes
        writes += os.path.isfile(f"/proc/self/fd/{descriptor}")  # noqa: PTH113
        if writes >= write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match="disk is full"):
            audit(config(), out=tmp_path / "run")
    assert list(half_files(tmp_path / "run")) == []
    assert not list((tmp_path / "run").glob(".*.partial"))
    audit(config(), out=tmp_path / "run")
    assert bits(tmp_path / "run") == expected


def test_a_limit_of_the_kernel_on_files_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises((ResourceError, RunError), match=r"safetensors (was not|can't be) written"):
            audit(config(), out=tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(half_files(tmp_path / "run")) == []


def test_a_clock_that_goes_back_changes_nothing(
    expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()

    def back() -> float:
        nonlocal now
        now -= 3600
        return now

    monkeypatch.setattr(time, "time", back)
    seconds = audit(config(), out=tmp_path / "run").metrics.seconds
    assert min(seconds.values()) >= 0
    assert bits(tmp_path / "run") == expected
