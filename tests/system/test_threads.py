from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from palimpsest.system import threads
from palimpsest.system.threads import share_cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine of 4 cores with 4 threads for this process; the file states how many threads run."""
    load = tmp_path / "loadavg"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "_LOAD", load)
    monkeypatch.setattr(threads, "_PAUSE", 0)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield load
    torch.set_num_threads(before)


def running(load: Path, count: int) -> None:
    load.write_text(f"9.00 9.00 9.00 {count}/214 4711\n")


@pytest.mark.parametrize(("count", "expected"), [(1, 4), (2, 3), (4, 1), (20, 1)])
def test_uses_the_cores_that_others_leave(machine: Path, count: int, expected: int) -> None:
    running(machine, count)
    sentence = share_cores()
    assert torch.get_num_threads() == expected
    assert (sentence is None) == (expected == 4)
    if sentence:
        assert f"uses {expected} of 4 threads" in sentence


def test_never_uses_more_threads_than_the_process_has(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 64)
    running(machine, 20)
    assert share_cores() is None
    assert torch.get_num_threads() == 4


def test_an_environment_variable_wins(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    running(machine, 20)
    assert share_cores() is None
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("text", [None, "", "0.1 0.2"])
def test_a_system_that_does_not_say_is_idle(machine: Path, text: str | None) -> None:
    if text is not None:
        machine.write_text(text)
    assert share_cores() is None
    assert torch.get_num_threads() == 4
