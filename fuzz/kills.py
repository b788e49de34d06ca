"""Kill runs with SIGKILL, at every write and at random moments, and see that nothing is lost and nothing is half."""

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

from fuzz.workloads import LIVES, bring

from palimpsest.storage import file_hash, read_tensors

_OPENING_WRITES = 2
_POINTS_OF_A_WRITE = 3


@dataclass
class Toll:
    """What came of many kills.

    Args:
        kills: How many processes were killed before they were done.
        runs: How many audits went on to their end.
        broken: What was lost, half or different, in words.
    """

    kills: int
    runs: int
    broken: list[str]


def bits(folder: Path) -> dict[str, str]:
    """The hash of each stage's file, of all runs in the folder. What the report was made from tells times besides, and
    is not asked."""
    return {
        str(path.relative_to(folder)): file_hash(path)
        for manifest in sorted(folder.rglob("manifest.json"))
        for name in sorted(json.loads(manifest.read_text(encoding="utf-8"))["stages"])
        for path in [manifest.with_name(f"{name}.safetensors")]
    }


def half_files(folder: Path) -> Iterator[str]:
    """What passes for whole and is not, or can be read by others."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            yield f"{path.relative_to(folder)} can be read by others"
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            if path.suffix == ".safetensors":
                read_tensors(path)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".html" and "</html>" not in path.read_text(encoding="utf-8"):
                yield f"{path.name} has no end"
        except Exception as error:
            yield f"{path.relative_to(folder)} is half: {error}"


def kill_at_every_write(
    folder: Path, expected: dict[str, str], *, every: int = 1, what: str = "audit"
) -> Toll:
    """Kill one run again and again, each time at a later step of a write, until it gets through.

    Every write has three steps: the temporary file is there, it is half on the disk, it has taken its place. The
    first writes of each life, the configuration and the manifest, are killed in too.

    Args:
        folder: The run folder, not there yet.
        expected: The bits of one that nobody killed.
        every: Skip so many steps between two kills; 1 leaves none out.
        what: One of `LIVES` but a sweep, whose runs begin one after the other.
    """
    toll, opening = Toll(0, 0, []), _OPENING_WRITES * _POINTS_OF_A_WRITE
    step, before = 1, -1
    while True:
        code = _live(folder, what, die_at=step)
        toll.broken += half_files(folder)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            toll.broken.append(f"step {step}: the process ended with {code}")
            return toll
        toll.kills += 1
        progress = _progress(folder)
        step = opening + every if progress > before >= 0 else step + every
        before = progress
    toll.runs += 1
    if bits(folder) != expected:
        toll.broken.append("the bits differ after the last kill")
    return toll


def kill_at_random(
    folder: Path, expected: dict[str, str], *, kills: int, seed: int, what: str = "audit"
) -> Toll:
    """Kill runs at random moments, as often as wanted; each goes on in its folder until it is done.

    Args:
        folder: Where the run folders shall stand.
        expected: The bits of one that nobody killed.
        kills: How often.
        seed: Of the moments.
        what: One of `LIVES`.
    """
    toll, random = Toll(0, 0, []), Random(seed)
    while toll.kills < kills or toll.runs == 0:
        run = folder / f"run-{toll.runs}"
        while True:
            patience = random.uniform(0, _seconds(folder, what)) if toll.kills < kills else None
            code = _live(run, what, patience=patience)
            toll.broken += half_files(run)
            if code != -signal.SIGKILL:
                break
            toll.kills += 1
        if code:
            toll.broken.append(f"run {toll.runs}: the process ended with {code}")
            return toll
        toll.runs += 1
        if bits(run) != expected:
            toll.broken.append(f"run {toll.runs}: the bits differ")
    return toll


def reference(folder: Path, what: str = "audit") -> dict[str, str]:
    """The bits of a run that nobody kills; what it takes is made beside it.

    Args:
        folder: The run folder, not there yet.
        what: One of `LIVES`.
    """
    if what.startswith("attack"):
        bring(folder)
    assert _live(folder, what) == 0, f"the {what} fails without being killed"
    return bits(folder)


@functools.cache
def _seconds(folder: Path, what: str) -> float:
    """How long a life lasts that nobody ends."""
    run, start = folder / "unharmed", time.perf_counter()
    _live(run, what)
    seconds = time.perf_counter() - start
    shutil.rmtree(run)
    return seconds


def _live(
    folder: Path, what: str = "audit", *, die_at: int | None = None, patience: float | None = None
) -> int | None:
    """One process's life: it works, or goes on with it, until it is done or killed."""
    # Forked from a server that has imported everything once: a life costs what the audit costs.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzz.imported"])
    process = context.Process(target=_work, args=(folder, what, die_at))
    process.start()
    process.join(patience)
    if process.is_alive():
        process.kill()
    process.join()
    return process.exitcode


def _work(folder: Path, what: str, die_at: int | None) -> None:
    import torch

    torch.set_num_threads(1)
    if die_at is not None:
        _die_at_step(die_at)
    LIVES[what](folder)


def _die_at_step(last: int) -> None:
    """Have this process kill itself at a step of its writes, counted from 1."""
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
            # What was written last may not have reached the disk when the power goes.
            step(lambda: os.truncate(descriptor, os.fstat(descriptor).st_size // 2))
        sync(descriptor)

    def replaced(path: Path) -> None:
        step()
        folder_sync(path)

    files._create_private, os.fsync, files._sync_folder = created, synced, replaced


def _progress(folder: Path) -> int:
    """How far an audit has come, in finished stages and rounds: it only grows."""
    try:
        stages = len(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["stages"])
    except OSError:
        return 0
    rounds = 0
    for file in (folder / ".unfinished").rglob("rounds.safetensors"):
        rounds += len(json.loads(read_tensors(file)[1]["fields"])["rounds"])
    return 1000 * stages + rounds + 1


def kill_runs(kills: int, *, seed: int) -> int:
    """Kill at every write and at random moments, print what came of it, and return how many promises broke.

    Args:
        kills: At random moments, of each of `LIVES`.
        seed: Of the moments.
    """
    broken = 0
    for what in LIVES:
        with tempfile.TemporaryDirectory() as room:
            expected = reference(Path(room) / "reference", what)
            tolls = {"at random": kill_at_random(Path(room), expected, kills=kills, seed=seed, what=what)}
            if what != "sweep":
                tolls["at every write"] = kill_at_every_write(Path(room) / "steps", expected, what=what)
        for name, toll in tolls.items():
            print(
                f"{what} killed {name}: {toll.kills} times, {toll.runs} done, {len(toll.broken)} broke a promise",
                flush=True,
            )
            for sentence in toll.broken[:20]:
                print(f"    {sentence}")
            broken += len(toll.broken)
    return broken
