"""`python -m mutation metrics proofs`: which changes of these packages' or files' code does no test notice?"""

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
"""Slow to import, and not changed: imported once, before anything is forked."""


def main() -> int:
    """Try the mutants of what the command line names, and end with 1 where one survives without an explanation."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", default=list(TARGETS))
    parser.add_argument("--sample", type=int, help="try so many mutants of each target, drawn at random")
    parser.add_argument(
        "--again", choices=("survivors", "all"), help="try these again although they are known"
    )
    parser.add_argument("--functions", action="store_true", help="leave out what takes an import of its own")
    parser.add_argument("--report", action="store_true", help="print what is known, and try nothing")
    chosen = parser.parse_args()
    unexplained = 0
    for name in chosen.targets:
        path = _RESULTS / f"{name}.json"
        if not chosen.report:
            forget(path, chosen.again, Explanations.read())
            run_target(TARGETS[name], path, chosen.sample, functions=chosen.functions)
        unexplained += print_report(name, TARGETS[name], path, Explanations.read())
    return 1 if unexplained else 0


def forget(path: Path, again: str | None, explanations: Explanations) -> None:
    """Remove the results that are to be found anew: all, or those of survivors without an explanation."""
    if again is None or not path.exists():
        return
    results = {} if again == "all" else json.loads(path.read_text())
    kept = {
        file: {
            name: result
            for name, result in found.items()
            if result in ("killed", "timeout") or explanations.reason(file, name)
        }
        for file, found in results.items()
    }
    path.write_text(json.dumps(kept, indent=1))


def run_target(target: Target, path: Path, sample: int | None, *, functions: bool) -> None:
    """Try a target's mutants, or those in its functions alone; what is known already is kept."""
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


def drawn(every: list[Mutant], sample: int | None) -> list[Mutant]:
    """So many of the mutants at random, in their order; the same ones each time."""
    if sample is None or sample >= len(every):
        return every
    kept = set(random.Random(0).sample(range(len(every)), sample))
    return [mutant for index, mutant in enumerate(every) if index in kept]


def _run_session(target: Target, path: Path, sample: int | None) -> None:
    import pytest

    from mutation.session import MutationSession

    results = _read(path)
    per_file = None if sample is None else -(-sample // len(target.files))
    session = MutationSession(
        {target.module(file): _ROOT / file for file in target.files},
        {str(_ROOT / file): found for file, found in results.items()},
        lambda: _write(path, session.known),
        lambda every: drawn(every, per_file),
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
    """The mutants at module level, which take an import of their own."""
    import pytest

    from mutation.code import ChangedSource
    from mutation.mutants import mutants
    from mutation.session import BY_IMPORT, KILLED, NOT_RUN, SURVIVED, TIMEOUT, in_fork, quick_hypothesis

    class Quick:
        def pytest_configure(self) -> None:
            quick_hypothesis()

    results = _read(path)
    tests = json.loads((path.parent / f"{path.stem}-tests.json").read_text())
    for file, found in results.items():
        for name in [name for name, result in found.items() if result == BY_IMPORT]:

            def run(file: str = file, name: str = name) -> int:
                source = _ROOT / file
                tree = ast.parse(source.read_text())
                next(one for one in mutants(tree) if one.name == name).apply()
                ChangedSource(target.module(file), source, tree).install()
                with tempfile.TemporaryDirectory() as folder:
                    return int(pytest.main([*_options(folder), "-x", *tests[file]], plugins=[Quick()]))

            code = in_fork(run, timeout=300) if tests[file] else -1
            found[name] = {0: SURVIVED, -1: NOT_RUN, None: TIMEOUT}.get(code, KILLED)
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
    relative = {str(Path(file).relative_to(_ROOT)): found for file, found in known.items()}
    path.write_text(json.dumps(relative, indent=1))


if __name__ == "__main__":
    sys.exit(main())
