"""The examples' environments, which must hold what users install and none of the tests' dependencies."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.environments import Environment


def test_the_wheel_runs_with_its_declared_dependencies(clean: Environment, tmp_path: Path) -> None:
    assert "No broken requirements" in clean.run("pip check", tmp_path).stdout
    location = clean.run("python -c 'import palimpsest; print(palimpsest.__file__)'", tmp_path).stdout
    assert Path(location.strip()).is_relative_to(clean.folder)
    assert "digits" in clean.run("palimpsest presets", tmp_path, fresh=True).stdout


@pytest.mark.parametrize("module", ["pytest", "pandas", "starlette", "flwr", "tensorboard", "tests"])
def test_undeclared_packages_are_missing(clean: Environment, tmp_path: Path, module: str) -> None:
    assert f"No module named '{module}'" in clean.run(f"python -c 'import {module}'", tmp_path, code=1).stderr


def test_requested_packages_are_installed(installed: Callable[..., Environment], tmp_path: Path) -> None:
    environment = installed("starlette")
    environment.run("python -c 'import starlette, palimpsest'", tmp_path)
    environment.run("python -c 'import uvicorn'", tmp_path, code=1)


def test_the_wheel_holds_all_package_files(clean: Environment) -> None:
    (package,) = clean.folder.glob("lib/*/site-packages/palimpsest")
    packaged = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    source = Path(__file__).parents[2] / "src" / "palimpsest"
    expected = {
        str(file.relative_to(source)) for file in source.rglob("*") if file.suffix not in (".pyc", "")
    }
    assert expected <= packaged
    assert "py.typed" in packaged
