"""Command line of mutation testing: `python -m mutation metrics proofs` lists the changes that no test detects."""

import argparse
import ast
import json
import os
import random
import sys
import tempfile
from pathlib import Path

from mutation.mutants import Mutant
from mutation.report import Explanations, print_report
from mutation.targets import TARGETS, Target

_ROOT = Path(__file__).parents[1]
_RESULTS = _ROOT / ".mutation"
_HEAVY = (
    "numpy", "pydantic", "safetensors.torch", "scipy.optimize", "scipy.stats", "torch", "torch.func",
    "cyclopts", "jinja2", "yaml",
)  # fmt: skip
"""Modules that are slow to import and never mutated; they are imported once, before forking."""


def main() -> int:
    """Run the tests on the mutants of the selected targets, and return 1 if a mutant survives without explanation."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", default=list(TARGETS))
    parser.add_argument("--sample", type=int, help="number of random mutants to try in each target")
    parser.add_argument(
        "--again", choices=("survivors", "all"), help="try these again even if their result is known"
    )
    parser.add_argument("--functions", action="store_true", help="skip mutants that need a fresh import")
    parser.add_argument("--report", action="store_true", help="print known results, and try no mutant")
    chosen = parser.parse_args()
    unexplained = 0
    for name in chosen.targets:
        path = _RESULTS / f"{name}.json"
        if not chosen.report:
            drop_results(path, chosen.again, Explanations.read())
            run_target(TARGETS[name], path, chosen.sample, functions=chosen.functions)
        unexplained += print_report(name, TARGETS[name], path, Explanations.read())
    return 1 if unexplained else 0


def drop_results(path: Path, again: str | None, explanations: Explanations) -> None:
    """Remove results that must be measured again.

    Args:
        path: File of a target's results.
        again: `all`, or `survivors` for survivors without an explanation. If omitted, all results stay.
        explanations: Explanations of survivors.
    """
    if again is None or not path.exists():
        return
    results = {} if again == "all" else json.loads(path.read_text())
    remaining = {
        file: {
            name: result
            for name, result in mutant_results.items()
            if result in ("killed", "timeout") or explanations.reason(file, name)
        }
        for file, mutant_results in results.items()
    }
    path.write_text(json.dumps(remaining, indent=1))


def run_target(target: Target, path: Path, sample: int | None, *, functions: bool) -> None:
    """Run the tests on a target's mutants whose result is unknown.

    Args:
        target: The target.
        path: File of its results.
        sample: Number of random mutants; None means all.
        functions: Try only mutants inside functions, which need no fresh import.
    """
    path.parent.mkdir(exist_ok=True)
    for name in _HEAVY:
        __import__(name)
    import torch

    torch.set_num_threads(1)
    for part in (_run_session,) if functions else (_run_session, _run_by_import):
        child = os.fork()
        if not child:
            part(target, path, sample)
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


def sample_mutants(candidates: list[Mutant], sample: int | None) -> list[Mutant]:
    """Draw a reproducible random sample of the mutants, in their order.

    Args:
        candidates: The mutants.
        sample: Size of the sample; None means all.
    """
    if sample is None or sample >= len(candidates):
        return candidates
    chosen = set(random.Random(0).sample(range(len(candidates)), sample))
    return [mutant for index, mutant in enumerate(candidates) if index in chosen]


def _run_session(target: Target, path: Path, sample: int | None) -> None:
    import pytest

    from mutation.session import MutationSession

    results = _read(path)
    per_file = None if sample is None else -(-sample // len(target.files))
    session = MutationSession(
        {target.module(file): _ROOT / file for file in target.files},
        {str(_ROOT / file): mutant_results for file, mutant_results in results.items()},
        lambda: _write(path, session.known),
        lambda candidates: sample_mutants(candidates, per_file),
    )
    with tempfile.TemporaryDirectory() as folder:
        pytest.main([*_options(folder), *target.tests], plugins=[session])
    _write(path, session.known)
    (path.parent / f"{path.stem}-tests.json").write_text(
        json.dumps(
            {
                file: sorted({t.split("::")[0] for t in session.baseline.tests_of(_ROOT / file)})
                for file in target.files
            }
        )
    )


def _run_by_import(target: Target, path: Path, sample: int | None) -> None:
    """Run the tests on mutants at module level, each with a fresh import of the module."""
    import pytest

    from mutation.code import ChangedSource
    from mutation.mutants import mutants
    from mutation.session import BY_IMPORT, KILLED, NOT_RUN, SURVIVED, TIMEOUT, in_fork, quick_hypothesis

    class QuickHypothesis:
        def pytest_configure(self) -> None:
            quick_hypothesis()

    results = _read(path)
    tests = json.loads((path.parent / f"{path.stem}-tests.json").read_text())
    for file, mutant_results in results.items():
        for name in [name for name, result in mutant_results.items() if result == BY_IMPORT]:

            def run(file: str = file, name: str = name) -> int:
                source = _ROOT / file
                tree = ast.parse(source.read_text())
                next(mutant for mutant in mutants(tree) if mutant.name == name).apply()
                ChangedSource(target.module(file), source, tree).install()
                with tempfile.TemporaryDirectory() as folder:
                    return int(
                        pytest.main([*_options(folder), "-x", *tests[file]], plugins=[QuickHypothesis()])
                    )

            code = in_fork(run, timeout=300) if tests[file] else -1
            mutant_results[name] = {0: SURVIVED, -1: NOT_RUN, None: TIMEOUT}.get(code, KILLED)
            path.write_text(json.dumps(results, indent=1))


def _options(folder: str) -> list[str]:
    return [
        "-q",
        "--no-header",
        "--capture=no",
        "-p",
        "no:cacheprovider",
        "--durations=0",
        "--durations-min=1000",
        f"--basetemp={folder}/t",
    ]


def _read(path: Path) -> dict[str, dict[str, str]]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(path: Path, known: dict[str, dict[str, str]]) -> None:
    relative = {str(Path(file).relative_to(_ROOT)): results for file, results in known.items()}
    path.write_text(json.dumps(relative, indent=1))


if __name__ == "__main__":
    sys.exit(main())
