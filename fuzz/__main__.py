"""Test the guarantees of docs/trust.md at length: `python -m fuzz fuzz`, `python -m fuzz kills`, or both."""

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
    """Run the selected tests, print a table, and return 1 if a guarantee was violated."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("fuzz", "kills", "all"), default="all")
    parser.add_argument("--inputs", type=int, default=100_000, help="number of damaged files for each reader")
    parser.add_argument("--readers", nargs="*", choices=sorted(PARSERS), default=sorted(PARSERS))
    parser.add_argument(
        "--kills", type=int, default=50, help="number of kills at random moments for each workload"
    )
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    violations = 0
    if chosen.what in ("fuzz", "all"):
        violations += sum(_fuzz_in_process(name, chosen.inputs, chosen.seed) for name in chosen.readers)
    if chosen.what in ("kills", "all"):
        violations += kill_runs(chosen.kills, seed=chosen.seed)
    return 1 if violations else 0


def _fuzz_in_process(name: str, inputs: int, seed: int) -> int:
    """Fuzz one reader in a separate process, so that a crash stops only that process and its input can be saved."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        results: multiprocessing.Queue[Outcome] = multiprocessing.Queue()
        process = multiprocessing.Process(target=_fuzz, args=(name, Path(folder), inputs, seed, results))
        process.start()
        while process.is_alive() and results.empty():
            process.join(0.2)
        if results.empty():
            content = (Path(folder) / f"input{PARSERS[name].suffix}").read_bytes()
            saved = _save_input(name, 0, content)
            print(
                f"{name:<14} the process exited with {process.exitcode}, input saved as {saved}", flush=True
            )
            return 1
        outcome = results.get()
        process.join()
    print(
        f"{name:<14} {outcome.inputs:>8,} inputs, {outcome.rejected:>8,} rejected, at most {outcome.seconds:.2f} s and "
        f"{outcome.memory / 2**20:.0f} MiB beyond four times the file size, {len(outcome.violations)} violations",
        flush=True,
    )
    for index, (content, reason) in enumerate(outcome.violations[:20]):
        print(f"    {reason}: input saved as {_save_input(name, index, content)}", flush=True)
    return len(outcome.violations)


def _fuzz(name: str, folder: Path, inputs: int, seed: int, results: "multiprocessing.Queue[Outcome]") -> None:
    warnings.simplefilter("error")
    results.put(fuzz(PARSERS[name], hostile_files(PARSERS[name], folder, inputs=inputs, seed=seed), folder))


def _save_input(name: str, index: int, content: bytes) -> Path:
    _FOUND.mkdir(exist_ok=True)
    path = _FOUND / f"{name}-{index}{PARSERS[name].suffix}"
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    sys.exit(main())
