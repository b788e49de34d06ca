"""Hold the promises of docs/trust.md at length: `python -m fuzz fuzz`, `python -m fuzz kills`, or both."""

import argparse
import multiprocessing
import sys
import tempfile
import warnings
from pathlib import Path

from fuzz.fuzzing import Outcome, fuzz, hostile_files
from fuzz.kills import kill_runs
from fuzz.parsers import PARSERS

_FOUND = Path("fuzz-found")


def main() -> int:
    """Run what the command line names, print a table, and end with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("fuzz", "kills", "all"), default="all")
    parser.add_argument("--inputs", type=int, default=100_000, help="damaged files for each reader")
    parser.add_argument("--readers", nargs="*", choices=sorted(PARSERS), default=sorted(PARSERS))
    parser.add_argument("--kills", type=int, default=50, help="kills at random moments, of each kind of run")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    broken = 0
    if chosen.what in ("fuzz", "all"):
        broken += sum(_fuzz_apart(name, chosen.inputs, chosen.seed) for name in chosen.readers)
    if chosen.what in ("kills", "all"):
        broken += kill_runs(chosen.kills, seed=chosen.seed)
    return 1 if broken else 0


def _fuzz_apart(name: str, inputs: int, seed: int) -> int:
    """Fuzz one reader in a process of its own: a crash takes that one alone, and the input that caused it is kept."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as room:
        results: multiprocessing.Queue[Outcome] = multiprocessing.Queue()
        process = multiprocessing.Process(target=_fuzz, args=(name, Path(room), inputs, seed, results))
        process.start()
        while process.is_alive() and results.empty():
            process.join(0.2)
        if results.empty():
            content = (Path(room) / f"input{PARSERS[name].suffix}").read_bytes()
            print(
                f"{name:<14} the process ended with {process.exitcode}: {_keep(name, 0, content)}", flush=True
            )
            return 1
        outcome = results.get()
        process.join()
    print(
        f"{name:<14} {outcome.inputs:>8,} inputs, {outcome.refused:>8,} refused, at most {outcome.seconds:.2f} s and "
        f"{outcome.memory / 2**20:.0f} MiB beyond four times the file, {len(outcome.broken)} broke a promise",
        flush=True,
    )
    for index, (content, reason) in enumerate(outcome.broken[:20]):
        print(f"    {reason}: {_keep(name, index, content)}", flush=True)
    return len(outcome.broken)


def _fuzz(name: str, room: Path, inputs: int, seed: int, results: "multiprocessing.Queue[Outcome]") -> None:
    warnings.simplefilter("error")
    results.put(fuzz(PARSERS[name], hostile_files(PARSERS[name], room, inputs=inputs, seed=seed), room))


def _keep(name: str, index: int, content: bytes) -> Path:
    _FOUND.mkdir(exist_ok=True)
    path = _FOUND / f"{name}-{index}{PARSERS[name].suffix}"
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    sys.exit(main())
