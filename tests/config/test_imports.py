"""Modules that a configuration imports."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from palimpsest.config import AuditConfig, build_config, merged, read_config
from palimpsest.errors import ConfigurationError, RunError
from palimpsest.registry import DEFENSES
from palimpsest.runs import Run

MODULE = '''
from typing import ClassVar

from palimpsest.defenses import Defense
from palimpsest.registry import DEFENSES

@DEFENSES.register("imported")
class Imported(Defense):
    """Double each coordinate."""

    source: ClassVar[str] = "this test"
    randomized: ClassVar[bool] = False

    factor: float = 2.0
    """The factor."""

    def __call__(self, proofs, *, generator):
        return proofs * self.factor
'''


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "defense_of_a_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    DEFENSES.names()
    monkeypatch.setattr(DEFENSES, "_components", dict(DEFENSES._components))
    monkeypatch.setattr(DEFENSES, "_packages", dict(DEFENSES._packages))
    yield
    sys.modules.pop("defense_of_a_test", None)


TREE = {"imports": ["defense_of_a_test"], "defenses": [{"name": "imported", "factor": 3}]}


def test_imports_a_module_before_validation() -> None:
    config = build_config(TREE)
    assert config.imports == ("defense_of_a_test",)
    assert config.defenses[0].build().factor == 3
    assert list(config.packages) == ["defense_of_a_test"]
    with pytest.raises(ConfigurationError, match="There is no defense 'absent'"):
        build_config({**TREE, "defenses": "absent"})


def test_stores_imports_only_if_there_are_any() -> None:
    assert "imports" not in AuditConfig().to_yaml()
    assert "imports" not in AuditConfig().model_dump_json()
    assert build_config(TREE).to_yaml().startswith("imports:\n- defense_of_a_test\n")


def test_imports_modules_of_file_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "other_of_a_test.py").write_text("")
    (tmp_path / "mine.yaml").write_text("imports: defense_of_a_test\ndefenses: imported\n")
    config = read_config(tmp_path / "mine.yaml", {"imports": ["other_of_a_test"]})
    assert config.imports == ("defense_of_a_test", "other_of_a_test")
    assert merged({"seed": 1}, {"seed": 2}) == {"seed": 2}


def test_unpickling_imports_the_module_first(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = pickle.dumps(build_config(TREE))
    del sys.modules["defense_of_a_test"]
    del DEFENSES._components["imported"]
    assert pickle.loads(stored).defenses[0].build().factor == 3


def test_reading_a_run_folder_imports_nothing(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", build_config(TREE), console=Console(quiet=True)).close()
    del sys.modules["defense_of_a_test"]
    del DEFENSES._components["imported"]
    with pytest.raises(RunError, match="no defense 'imported'"):
        Run.open(tmp_path / "run", AuditConfig(), console=Console(quiet=True))
    assert "defense_of_a_test" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent_of_a_test", "'absent_of_a_test' can't be imported"),
        ("a-b", "not a module's name"),
        (3, "imports.0"),
    ],
)
def test_names_modules_that_can_not_be_imported(name: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        build_config({"imports": [name]})
