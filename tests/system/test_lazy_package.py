"""Packages that import their public names on first use."""

import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import palimpsest.metrics
from palimpsest.system.lazy_package import import_on_first_use

# The functions `palimpsest.runs` and `palimpsest.report` hide the packages of the same names.
PACKAGES = [import_module(f"palimpsest{name}") for name in ("", ".metrics", ".runs", ".storage")]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_imported_from_its_module(package: ModuleType) -> None:
    assert set(vars(package)["_module_of_name"]) == set(package.__all__)
    for name, place in vars(package)["_module_of_name"].items():
        value = getattr(package, name)
        assert not isinstance(value, ModuleType)
        assert value is getattr(import_module(place), name)


def test_a_module_does_not_replace_a_function_of_its_name() -> None:
    import_module("palimpsest.metrics.evaluate")
    import_module("palimpsest.report.page")
    assert callable(palimpsest.metrics.evaluate)
    assert callable(palimpsest.report)


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("lazy_package_of_a_test")
    monkeypatch.setitem(sys.modules, package.__name__, package)
    import_on_first_use(package.__name__, {"math": ("sqrt",)})
    assert package.sqrt(4) == 2
    assert "sqrt" in dir(package)
    with pytest.raises(AttributeError, match="'lazy_package_of_a_test' has no attribute 'cbrt'"):
        _ = package.cbrt


@pytest.mark.parametrize("name", ["metrics.Metrics", "runs.read_manifest", "storage.write_json"])
def test_metrics_manifests_and_files_need_no_torch(name: str) -> None:
    package, _, attribute = name.partition(".")
    program = f"from palimpsest.{package} import {attribute}; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "False"
