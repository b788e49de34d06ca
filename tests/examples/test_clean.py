"""The examples' environments hold what somebody who installs palimpsest gets, and nothing of the tests' own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.environments import Environment


def test_the_wheel_runs_with_what_it_declares_alone(clean: Environment, tmp_path: Path) -> None:
    assert "No broken requirements" in clean.run("pip check", tmp_path).stdout
    where = clean.run("python -c 'import palimpsest; print(palimpsest.__file__)'", tmp_path).stdout
    assert Path(where.strip()).is_relative_to(clean.folder)
    assert "digits" in clean.run("palimpsest presets", tmp_path).stdout


@pytest.mark.parametrize("module", ["pytest", "pandas", "starlette", "flwr", "tensorboard", "tests"])
def test_what_nobody_declared_is_not_there(clean: Environment, tmp_path: Path, module: str) -> None:
    assert f"No module named '{module}'" in clean.run(f"python -c 'import {module}'", tmp_path, code=1).stderr


def test_what_is_asked_for_is_there(installed: Callable[..., Environment], tmp_path: Path) -> None:
    where = installed("starlette")
    where.run("python -c 'import starlette, palimpsest'", tmp_path)
    where.run("python -c 'import uvicorn'", tmp_path, code=1)


def test_the_wheel_holds_the_files_that_are_no_modules(clean: Environment) -> None:
    (package,) = clean.folder.glob("lib/*/site-packages/palimpsest")
    held = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    source = Path(__file__).parents[2] / "src" / "palimpsest"
    ours = {str(file.relative_to(source)) for file in source.rglob("*") if file.suffix not in (".pyc", "")}
    assert ours <= held
    assert "py.typed" in held
