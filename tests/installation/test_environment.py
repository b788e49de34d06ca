"""Environments of `python -m installation`, without pip."""

import venv
from pathlib import Path
from typing import get_args

import pytest
from installation.__main__ import MODULES
from installation.environment import Environment, variables

from palimpsest.distribution import Extra


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    venv.create(tmp_path / "environment", symlinks=True)
    return Environment(tmp_path / "environment", tmp_path / "palimpsest_audit.whl")


def test_counts_and_measures_what_is_installed_without_pip(environment: Environment) -> None:
    for name, size in (("one", 2**20), ("two", 2**19), ("pip", 2**22)):
        (environment.packages / name).mkdir()
        (environment.packages / name / "data").write_bytes(bytes(size))
        (environment.packages / f"{name}-1.0.dist-info").mkdir()
    assert environment.distributions() == 2
    assert environment.mebibytes() == 1.5


def test_a_program_that_ends_with_another_code_is_reported(environment: Environment) -> None:
    assert environment.run("python", "-c", "print('fine')") == "fine\n"
    with pytest.raises(RuntimeError, match=r"ended with code 3, not 0:\nreason"):
        environment.run("python", "-c", "import sys; print('reason'); sys.exit(3)")


def test_the_sources_are_not_importable(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "src")
    assert "PYTHONPATH" not in variables()
    assert "No module named 'palimpsest'" in environment.run("python", "-c", "import palimpsest", code=1)


def test_every_extra_of_a_user_is_installed() -> None:
    assert set(MODULES) == set(get_args(Extra))
