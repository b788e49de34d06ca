from importlib.metadata import EntryPoint

import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.registry import ATTACKS, DEFENSES, METHODS, Component, Registry


class First(Component):
    """A component."""

    steps: int = 3


def test_a_component_is_found_by_its_name() -> None:
    registry: Registry[Component] = Registry("piece", "palimpsest.errors")
    assert registry.register("first")(First) is First
    assert registry.get("first") is First
    assert list(registry) == [("first", First)]


def test_an_unknown_name_says_what_is_there() -> None:
    registry: Registry[Component] = Registry("piece", "palimpsest.errors")
    registry.register("first")(First)
    with pytest.raises(ConfigurationError, match="no piece 'frist': did you mean 'first'"):
        registry.get("frist")


def test_a_taken_name_is_refused() -> None:
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


THEIRS = entry("theirs", "palimpsest.metrics.metric:CrossCorrelation")


def test_a_third_partys_class_comes_from_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_with(monkeypatch, THEIRS, bases=("Metric",))
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
        ("palimpsest.metrics:mean_image", "no subclass of palimpsest.metrics.Metric"),
        ("palimpsest.metrics:Scores", "no subclass of palimpsest.metrics.Metric"),
    ],
)
def test_a_third_partys_mistake_is_named_each_time(
    monkeypatch: pytest.MonkeyPatch, value: str, reason: str
) -> None:
    registry = registry_with(monkeypatch, entry("theirs", value), bases=("Metric",))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=f"piece 'theirs'.*{reason}"):
            registry.names()


def test_a_third_party_can_take_no_name_away(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_with(monkeypatch, THEIRS)
    registry.register("theirs")(First)
    with pytest.raises(ConfigurationError, match="taken"):
        registry.names()


@pytest.mark.parametrize("registry", [ATTACKS, DEFENSES, METHODS], ids=lambda registry: registry.kind)
def test_every_component_has_defaults_help_and_a_source(registry: Registry[Component]) -> None:
    for name, component in registry:
        component()
        assert component.__doc__, name
        assert component.source, name
        for field, info in component.model_fields.items():
            assert info.description, f"{name}.{field}"
