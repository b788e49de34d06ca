"""Kill runs with SIGKILL, at every write and at random moments, and check that no file is lost or truncated."""

import functools
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.workloads import WORKLOADS, make_artifacts

from palimpsest.storage import file_hash, read_tensors

_OPENING_WRITES = 2
_STEPS_OF_A_WRITE = 3


@dataclass
class KillReport:
    """Outcome of many kills.

    Args:
        kills: Number of processes that were killed before they finished.
        runs: Number of runs that finished.
        violations: Descriptions of lost, truncated or different files.
    """

    kills: int
    runs: int
    violations: list[str]


def stage_hashes(folder: Path) -> dict[str, str]:
    """Hash the file of each stage of all runs in a folder, by relative path.

    The report's inputs are left out, because they contain times.
    """
    return {
        str(path.relative_to(folder)): file_hash(path)
        for manifest in sorted(folder.rglob("manifest.json"))
        for name in sorted(json.loads(manifest.read_text(encoding="utf-8"))["stages"])
        for path in [manifest.with_name(f"{name}.safetensors")]
    }


def damaged_files(folder: Path) -> Iterator[str]:
    """Yield a description of each file that is truncated, or readable by other users."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            yield f"{path.relative_to(folder)} is readable by other users"
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            if path.suffix == ".safetensors":
                read_tensors(path)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".html" and "</html>" not in path.read_text(encoding="utf-8"):
                yield f"{path.name} is truncated"
        except Exception as error:
            yield f"{path.relative_to(folder)} is damaged: {error}"


def kill_at_every_write(
    folder: Path, expected: dict[str, str], *, every: int = 1, what: str = "audit"
) -> KillReport:
    """Kill one run repeatedly, each time at a later step of a write, until it finishes.

    Every write has three steps: the temporary file exists, half of it is on the disk, it has replaced its target. The
    first writes of each process, the configuration and the manifest, are covered too.

    Args:
        folder: The run folder, which must not exist.
        expected: Hashes of a run that was not killed.
        every: Distance in steps between two kills; 1 kills at every step.
        what: Name in `WORKLOADS`, except the sweep, which has several runs.

    Returns:
        Counts and violations.
    """
    report, opening = KillReport(0, 0, []), _OPENING_WRITES * _STEPS_OF_A_WRITE
    step, before = 1, -1
    while True:
        code = _run_process(folder, what, die_at=step)
        report.violations += damaged_files(folder)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            report.violations.append(f"step {step}: the process exited with {code}")
            return report
        report.kills += 1
        progress = _progress(folder)
        step = opening + every if progress > before >= 0 else step + every
        before = progress
    report.runs += 1
    if stage_hashes(folder) != expected:
        report.violations.append("the stage files differ after the last kill")
    return report


def kill_at_random(
    folder: Path, expected: dict[str, str], *, kills: int, seed: int, what: str = "audit"
) -> KillReport:
    """Kill runs at random moments; each is resumed in its folder until it finishes.

    Args:
        folder: The folder of the run folders.
        expected: Hashes of a run that was not killed.
        kills: Number of kills.
        seed: Seed of the moments.
        what: Name in `WORKLOADS`.

    Returns:
        Counts and violations.
    """
    report, random = KillReport(0, 0, []), Random(seed)
    while report.kills < kills or report.runs == 0:
        run = folder / f"run-{report.runs}"
        while True:
            timeout = random.uniform(0, _seconds(folder, what)) if report.kills < kills else None
            code = _run_process(run, what, timeout=timeout)
            report.violations += damaged_files(run)
            if code != -signal.SIGKILL:
                break
            report.kills += 1
        if code:
            report.violations.append(f"run {report.runs}: the process exited with {code}")
            return report
        report.runs += 1
        if stage_hashes(run) != expected:
            report.violations.append(f"run {report.runs}: the stage files differ")
    return report


def reference(folder: Path, what: str = "audit") -> dict[str, str]:
    """Return the hashes of a run that is not killed; its artifacts are made in a sibling folder.

    Args:
        folder: The run folder, which must not exist.
        what: Name in `WORKLOADS`.
    """
    if what.startswith("attack"):
        make_artifacts(folder)
    assert _run_process(folder, what) == 0, f"the {what} fails without being killed"
    return stage_hashes(folder)


@functools.cache
def _seconds(folder: Path, what: str) -> float:
    """Measure the time of a workload that is not killed, in seconds."""
    run, start = folder / "unharmed", time.perf_counter()
    _run_process(run, what)
    seconds = time.perf_counter() - start
    shutil.rmtree(run)
    return seconds


def _run_process(
    folder: Path, what: str = "audit", *, die_at: int | None = None, timeout: float | None = None
) -> int | None:
    """Start or resume a workload in a new process, and return the exit code when it finished or was killed."""
    # The fork server has imported everything, so that a process takes only as long as its workload.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzz.imported"])
    process = context.Process(target=_work, args=(folder, what, die_at))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
    process.join()
    return process.exitcode


def _work(folder: Path, what: str, die_at: int | None) -> None:
    import torch

    torch.set_num_threads(1)
    if die_at is not None:
        _die_at_step(die_at)
    WORKLOADS[what](folder)


def _die_at_step(last: int) -> None:
    """Make this process kill itself at a step of its writes, counted from 1."""
    from palimpsest.storage import files

    steps = 0

    def step(before: Callable[[], object] = lambda: None) -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            before()
            os.kill(os.getpid(), signal.SIGKILL)

    create, sync, folder_sync = files._create_private, os.fsync, files._sync_folder

    def created(path: Path) -> None:
        create(path)
        step()

    def synced(descriptor: int) -> None:
        if os.path.isfile(f"/proc/self/fd/{descriptor}"):  # noqa: PTH113
            # After a power failure, the end of a file may be missing on the disk.
            step(lambda: os.truncate(descriptor, os.fstat(descriptor).st_size // 2))
        sync(descriptor)

    def replaced(path: Path) -> None:
        step()
        folder_sync(path)

    files._create_private, os.fsync, files._sync_folder = created, synced, replaced


def _progress(folder: Path) -> int:
    """Return a number that grows with each finished stage and round of a run."""
    try:
        stages = len(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["stages"])
    except OSError:
        return 0
    rounds = 0
    for file in (folder / ".unfinished").rglob("rounds.safetensors"):
        rounds += len(json.loads(read_tensors(file)[1]["fields"])["rounds"])
    return 1000 * stages + rounds + 1


def kill_runs(kills: int, *, seed: int) -> int:
    """Kill every workload at every write and at random moments, and print the outcome.

    Args:
        kills: Number of kills at random moments for each of `WORKLOADS`.
        seed: Seed of the moments.

    Returns:
        The number of violations.
    """
    violations = 0
    for what in WORKLOADS:
        with tempfile.TemporaryDirectory() as folder:
            expected = reference(Path(folder) / "reference", what)
            reports = {"at random": kill_at_random(Path(folder), expected, kills=kills, seed=seed, what=what)}
            if what != "sweep":
                reports["at every write"] = kill_at_every_write(Path(folder) / "steps", expected, what=what)
        for name, report in reports.items():
            print(
                f"{what} killed {name}: {report.kills} kills, {report.runs} runs finished, "
                f"{len(report.violations)} violations",
                flush=True,
            )
            for violation in report.violations[:20]:
                print(f"    {violation}")
            violations += len(report.violations)
    return violations
