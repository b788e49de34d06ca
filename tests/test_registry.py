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


def test_a_third_partys_component_comes_from_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name = "theirs"

        def load(self) -> type[Component]:
            return First

    monkeypatch.setattr("palimpsest.registry.entry_points", lambda group: [Entry()])
    registry: Registry[Component] = Registry("piece", "palimpsest.errors")
    assert registry.get("theirs") is First


@pytest.mark.parametrize("registry", [ATTACKS, DEFENSES, METHODS], ids=lambda registry: registry.kind)
def test_every_component_has_defaults_help_and_a_source(registry: Registry[Component]) -> None:
    for name, component in registry:
        component()
        assert component.__doc__, name
        assert component.source, name
        for field, info in component.model_fields.items():
            assert info.description, f"{name}.{field}"
