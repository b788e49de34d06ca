"""Interrupted audits: no file is lost or truncated, and the same command then gives the same bits."""

import errno
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fuzz.kills import damaged_files, kill_at_every_write, kill_at_random, reference, stage_hashes
from fuzz.workloads import WORKLOADS, config

from palimpsest.errors import ResourceError, RunError
from palimpsest.pipeline.audit import audit


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hash the stages of an audit that is not interrupted, in a separate process."""
    return reference(tmp_path_factory.mktemp("reference") / "run")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Use one thread, because bits are guaranteed only for the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_kills_at_every_second_step_of_the_writes(expected: dict[str, str], tmp_path: Path) -> None:
    report = kill_at_every_write(tmp_path / "run", expected, every=2)
    assert report.violations == []
    assert report.kills > 30


def test_kills_at_random_moments(expected: dict[str, str], tmp_path: Path) -> None:
    report = kill_at_random(tmp_path, expected, kills=4, seed=int(time.time()))
    assert report.violations == []
    assert report.kills == 4


@pytest.mark.parametrize("what", sorted(set(WORKLOADS) - {"audit"}))
def test_kills_of_other_workloads_at_random_moments(what: str, tmp_path: Path) -> None:
    """Attacks on a user's artifacts and a sweep use the same writes and stages."""
    report = kill_at_random(
        tmp_path, reference(tmp_path / "reference", what), kills=2, seed=int(time.time()), what=what
    )
    assert report.violations == []
    assert report.kills == 2


def test_a_lost_stage_is_recomputed_to_the_same_bits(expected: dict[str, str], tmp_path: Path) -> None:
    """A network's results depend on the memory layout of its weights, which must survive storage."""
    audit(config(), out=tmp_path / "run")
    (tmp_path / "run" / "reconstructions.safetensors").unlink()
    audit(config(), out=tmp_path / "run")
    assert stage_hashes(tmp_path / "run") == expected


@pytest.mark.parametrize("write", [2, 9])
def test_a_full_disk_is_an_error_and_finished_stages_are_kept(
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
    assert list(damaged_files(tmp_path / "run")) == []
    assert not list((tmp_path / "run").glob(".*.partial"))
    audit(config(), out=tmp_path / "run")
    assert stage_hashes(tmp_path / "run") == expected


def test_a_file_size_limit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises((ResourceError, RunError), match=r"safetensors (was not|can't be) written"):
            audit(config(), out=tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(damaged_files(tmp_path / "run")) == []


def test_a_clock_that_goes_backward_changes_nothing(
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
    assert stage_hashes(tmp_path / "run") == expected
