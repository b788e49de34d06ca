import importlib
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.registry import ATTACKS, DEFENSES, METHODS, Component, Registry


class First(Component):
    """A component."""

    steps: int = 3


def test_finds_a_component_by_its_name() -> None:
    registry: Registry[Component] = Registry("piece", "palimpsest.errors")
    assert registry.register("first")(First) is First
    assert registry.get("first") is First
    assert list(registry) == [("first", First)]


def test_suggests_a_name_for_an_unknown_one() -> None:
    registry: Registry[Component] = Registry("piece", "palimpsest.errors")
    registry.register("first")(First)
    with pytest.raises(
        ConfigurationError, match=r"no piece 'frist': did you mean 'first'. Choose one of first"
    ):
        registry.get("frist")


def test_rejects_a_taken_name() -> None:
    registry: Registry[Component] = Registry("piece", "palimpsest.errors")
    registry.register("first")(First)
    other = type("Other", (Component,), {})
    with pytest.raises(ConfigurationError, match="taken"):
        registry.register("first")(other)


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "palimpsest.pieces")


def registry_with(
    monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint, bases: tuple[str, ...] = ()
) -> Registry[Component]:
    monkeypatch.setattr(
        "palimpsest.registry.entry_points", lambda group: entries if group == "palimpsest.pieces" else ()
    )
    return Registry("piece", "palimpsest.metrics", group="palimpsest.pieces", bases=bases)


THIRD_PARTY = entry("theirs", "palimpsest.metrics.metric:CrossCorrelation")


def test_loads_third_party_classes_from_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_with(monkeypatch, THIRD_PARTY, bases=("Metric",))
    assert registry.get("theirs").__name__ == "CrossCorrelation"
    assert "theirs" in registry
    assert "ours" not in registry
    assert registry.package_of("ours") == ""
    assert registry.package_of("theirs").startswith("palimpsest.metrics.metric")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("palimpsest.nowhere:Thing", "can't be imported .ModuleNotFoundError"),
        ("palimpsest.metrics.metric:Nothing", "can't be imported .AttributeError"),
        ("palimpsest.metrics:mean_image", "not a subclass of palimpsest.metrics.Metric"),
        ("palimpsest.metrics:Scores", "not a subclass of palimpsest.metrics.Metric"),
    ],
)
def test_reports_a_broken_entry_point_each_time(
    monkeypatch: pytest.MonkeyPatch, value: str, reason: str
) -> None:
    registry = registry_with(monkeypatch, entry("theirs", value), bases=("Metric",))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f"piece 'theirs'.*{reason}"):
            registry.names()


def test_third_party_can_not_replace_a_component(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_with(monkeypatch, THIRD_PARTY)
    registry.register("theirs")(First)
    with pytest.raises(ConfigurationError, match="taken"):
        registry.names()


@pytest.mark.parametrize("registry", [ATTACKS, DEFENSES, METHODS], ids=lambda registry: registry.kind)
def test_components_have_defaults_help_and_a_source(registry: Registry[Component]) -> None:
    for name, component in registry:
        component()
        assert component.__doc__, name
        assert component.source, name
        for field, info in component.model_fields.items():
            assert info.description, f"{name}.{field}"


MODULE = """
from pieces_of_a_test import PIECES
from palimpsest.registry import Component

@PIECES.register("{name}")
class {kind}(Component):
    "A piece."
"""


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[Component]]:
    """Create a package with a registry whose `__init__` imports none of its modules, one of them in a subpackage."""
    package = tmp_path / "pieces_of_a_test"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from palimpsest.registry import Registry\nPIECES = Registry('piece', 'pieces_of_a_test')\n"
    )
    (package / "deep" / "__init__.py").write_text("")
    (package / "first.py").write_text(MODULE.format(name="first", kind="One"))
    (package / "deep" / "second.py").write_text(MODULE.format(name="second", kind="Two"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("pieces_of_a_test").PIECES
    for module in [name for name in sys.modules if name.partition(".")[0] == "pieces_of_a_test"]:
        del sys.modules[module]


def test_finds_a_module_that_nothing_imports(built_in: Registry[Component]) -> None:
    assert built_in.names() == ["first", "second"]


def test_reports_a_module_that_fails_to_import(built_in: Registry[Component], tmp_path: Path) -> None:
    (tmp_path / "pieces_of_a_test" / "deep" / "__init__.py").write_text("import no_such_module_anywhere")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
            built_in.names()


def test_records_a_hash_of_a_module_outside_any_package(
    built_in: Registry[Component], tmp_path: Path
) -> None:
    digest = sha256((tmp_path / "pieces_of_a_test" / "first.py").read_bytes()).hexdigest()[:16]
    assert built_in.package_of("first") == f"pieces_of_a_test.first sha256-{digest}"
    assert ATTACKS.package_of("igf") == ""


def test_records_the_version_of_an_installed_package() -> None:
    registry: Registry[object] = Registry("piece", "palimpsest.errors")
    registry.register("theirs")(pytest.Config)
    assert registry.package_of("theirs") == f"pytest {pytest.__version__}"
