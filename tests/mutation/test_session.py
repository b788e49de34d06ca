"""The mutation session on a small module: detected mutants are killed, and the others survive."""

import ast
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mutation.code import ChangedSource, find_function, swap_code
from mutation.mutants import mutants
from mutation.session import in_fork

ROOT = Path(__file__).parents[2]
MODULE = """
LIMIT = 3

def bounded(value):
    while value > LIMIT:
        value = value - 1
    return value

def doubled(value):
    return value * 2

def forgotten(value):
    return value + 1
"""
TESTS = """
from tried import bounded, doubled

def test_bounded():
    assert bounded(5) == 3

def test_doubled():
    assert doubled(0) == 0
"""
SCRIPT = """
import json, sys
from pathlib import Path
import pytest
from mutation.session import MutationSession
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[1])
session = MutationSession({"tried": folder / "tried.py"}, {}, lambda: None, lambda candidates: candidates)
pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)], plugins=[session])
(folder / "results.json").write_text(json.dumps(session.known))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tried.py").write_text(MODULE)
    (tmp_path / "test_tried.py").write_text(TESTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tried", raising=False)
    return tmp_path


def test_each_mutant_is_killed_survives_or_needs_an_import(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], env=environment, cwd=folder, check=True)
    (results,) = json.loads((folder / "results.json").read_text()).values()
    assert results["bounded: value > LIMIT -> value >= LIMIT"] == "killed"
    assert results["bounded: return value -> return None"] == "killed"
    # This mutant loops forever.
    assert results["bounded: value - 1 -> value + 1"] == "timeout"
    # Doubling and halving zero give the same result.
    assert results["doubled: value * 2 -> value / 2"] == "survived"
    assert results["doubled: 2 -> 3"] == "survived"
    assert results["forgotten: value + 1 -> value - 1"] == "survived"
    assert results["module: 3 -> 4"] == "by import"


def test_swap_code_affects_earlier_imports(folder: Path) -> None:
    module = importlib.import_module("tried")
    imported = module.bounded
    tree = ast.parse(MODULE)
    next(mutant for mutant in mutants(tree) if mutant.name == "bounded: value - 1 -> value + 1").apply()
    assert imported(5) == 3
    tree.body[1].body[0].test = ast.Constant(False)  # type: ignore[attr-defined]
    assert swap_code(module, ast.fix_missing_locations(tree), "bounded")
    assert imported(5) == 5
    assert not swap_code(module, tree, "nothing")
    assert find_function(module, "LIMIT") is None


def test_imports_changed_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse(MODULE)
    next(mutant for mutant in mutants(tree) if mutant.name == "module: 3 -> 4").apply()
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    ChangedSource("tried", folder / "tried.py", tree).install()
    assert importlib.import_module("tried").LIMIT == 4
    assert importlib.import_module("tried").bounded(9) == 4


def test_a_fork_returns_its_status_or_is_killed() -> None:
    assert in_fork(lambda: 3, timeout=600) == 3

    def broken() -> int:
        raise ZeroDivisionError

    assert in_fork(broken, timeout=600) == 1
    start = time.monotonic()
    assert in_fork(lambda: time.sleep(7200) or 0, timeout=0.3) is None
    assert time.monotonic() - start < 3600
