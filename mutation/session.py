"""Pytest session for many mutants: tests are collected once, and each mutant runs in a fork of the process."""

import ast
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mutation.code import swap_code
from mutation.mutants import Mutant, mutants

KILLED, SURVIVED, TIMEOUT, NOT_RUN, BY_IMPORT = "killed", "survived", "timeout", "not run", "by import"
_SPARE = 8 * 2**30
"""Address space in bytes that a mutant may use beyond that of the session."""


@dataclass
class Baseline:
    """Results of the unchanged code.

    Args:
        seconds: Time of each test in seconds, by test id.
        lines: Lines of each source file that each test runs, by test id and file.
        passed: Whether all tests pass.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    passed: bool = True

    def tests_of(self, path: Path, line: int | None = None) -> set[str]:
        """Return the ids of the tests that run a line of a file, or any of its lines if `line` is omitted."""
        return {
            test
            for test, files in self.lines.items()
            if (lines := files.get(str(path))) and (line is None or line in lines)
        }


class MutationSession:
    """A pytest plugin that runs the collected tests against mutants instead of once.

    Args:
        sources: Files to mutate, by module name.
        known: Known results by file and mutant; new results are added.
        save: Function that is called after each mutant.
        chosen: Function that selects the mutants of a file to try.
    """

    def __init__(
        self,
        sources: dict[str, Path],
        known: dict[str, dict[str, str]],
        save: Callable[[], None],
        chosen: Callable[[list[Mutant]], list[Mutant]],
    ) -> None:
        """Prepare the session; pytest's hooks run it."""
        self._sources, self.known, self._save, self._chosen = sources, known, save, chosen
        self.baseline = Baseline()

    def pytest_configure(self) -> None:
        """Make Hypothesis stop at the first counterexample, without storing or shrinking it."""
        quick_hypothesis()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests on the unchanged code, then on every mutant."""
        if session.testsfailed:
            raise session.Interrupted("The tests can't be collected.")
        self._measure(session)
        if not self.baseline.passed:
            print("The tests fail on the unchanged code. Fix them first.", flush=True)
            return True
        for name, path in self._sources.items():
            results = self.known.setdefault(str(path), {})
            for mutant in self._chosen(mutants(ast.parse(path.read_text()))):
                if mutant.name not in results:
                    results[mutant.name] = self._try(session, name, path, mutant)
                    self._save()
        return True

    def _measure(self, session: pytest.Session) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            with guarded(), os.fdopen(writer, "w") as file:
                json.dump(self._trace(session), file)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            content = file.read()
        os.waitpid(child, 0)
        self.baseline = Baseline(**json.loads(content)) if content else Baseline(passed=False)

    def _trace(self, session: pytest.Session) -> dict[str, Any]:
        baseline, sources = Baseline(), {str(path) for path in self._sources.values()}
        executed: dict[str, set[int]] = {}

        def local(frame: FrameType, event: str, _: object) -> Any:
            if event == "line":
                executed.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
            return local

        def enter(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_code.co_filename not in sources:
                return None
            executed.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
            return local

        shared: dict[str, dict[str, set[int]]] = {}
        for index, item in enumerate(session.items):
            executed.clear()
            start = time.perf_counter()
            sys.settrace(enter)
            run_item(session, index, session.items)
            sys.settrace(None)
            baseline.seconds[item.nodeid] = time.perf_counter() - start
            baseline.lines[item.nodeid] = {name: sorted(lines) for name, lines in executed.items()}
            # Later tests of a module may depend on the lines that its fixtures ran.
            if index == 0 or session.items[index - 1].path != item.path:
                shared = {}
            if _has_wide_fixture(item):
                for name, lines in executed.items():
                    shared.setdefault(item.path.name, {}).setdefault(name, set()).update(lines)
                for name, lines in shared.get(item.path.name, {}).items():
                    own_lines = baseline.lines[item.nodeid].get(name, [])
                    baseline.lines[item.nodeid][name] = sorted({*own_lines, *lines})
        baseline.passed = not session.testsfailed
        return vars(baseline)

    def _try(self, session: pytest.Session, name: str, path: Path, mutant: Mutant) -> str:
        if mutant.function is None:
            return BY_IMPORT
        # The trace may report a multi-line statement at another of its lines, so run the file's other tests as well.
        first = self.baseline.tests_of(path, mutant.line)
        rest = self.baseline.tests_of(path)
        if not rest:
            return NOT_RUN
        items = self._ordered(session.items, first, rest)
        expected = sum(self.baseline.seconds[item.nodeid] for item in items)

        def run() -> int:
            tree = ast.parse(path.read_text())
            next(other for other in mutants(tree) if other.name == mutant.name).apply()
            if not swap_code(importlib.import_module(name), tree, mutant.function or ""):
                return 3
            for index in range(len(items)):
                run_item(session, index, items)
                if session.testsfailed:
                    return 1
            return 0

        code = in_fork(run, timeout=10 + 4 * expected)
        return {0: SURVIVED, 3: BY_IMPORT, None: TIMEOUT}.get(code, KILLED)

    def _ordered(self, items: Sequence[pytest.Item], first: set[str], rest: set[str]) -> list[pytest.Item]:
        seconds: dict[Path, float] = {}
        for item in items:
            seconds[item.path] = seconds.get(item.path, 0) + self.baseline.seconds[item.nodeid]
        return sorted(
            (item for item in items if item.nodeid in rest),
            key=lambda item: (
                item.nodeid not in first,
                seconds[item.path],
                self.baseline.seconds[item.nodeid],
            ),
        )


def run_item(session: pytest.Session, index: int, items: Sequence[pytest.Item]) -> None:
    """Run one test with pytest's protocol.

    Args:
        session: The session.
        index: Index of the test in `items`.
        items: All tests, in order.
    """
    following = items[index + 1] if index + 1 < len(items) else None
    session.config.hook.pytest_runtest_protocol(item=items[index], nextitem=following)


def in_fork(run: Callable[[], int], *, timeout: float) -> int | None:
    """Run a function in a fork without output.

    Args:
        run: Function that returns the exit status.
        timeout: Time in seconds after which the fork and all its child processes are killed.

    Returns:
        The exit status, or None after a timeout.
    """
    child = os.fork()
    if not child:
        os.setsid()
        with guarded():
            os._exit(run())
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@contextmanager
def guarded() -> Iterator[None]:
    """Suppress output, limit memory, and exit on any exception, so that a fork never runs the parent's code."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _SPARE, used + _SPARE))
    try:
        yield
    except BaseException:
        os._exit(1)


def quick_hypothesis() -> None:
    """Make Hypothesis stop at the first failing example, without shrinking or storing it."""
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutation", deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutation")


def _has_wide_fixture(item: pytest.Item) -> bool:
    fixtures = getattr(item, "_fixtureinfo", None)
    if fixtures is None:
        return False
    definitions = (definition for group in fixtures.name2fixturedefs.values() for definition in group)
    return any(definition.scope != "function" for definition in definitions)
