"""How attacks, defences and their like are found by name, here and in third parties' packages."""

import difflib
import importlib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from palimpsest.errors import ConfigurationError


class Component(BaseModel):
    """A named piece with settings: its fields are the configuration's keys and the command line's flags.

    A field's docstring is its help text. Every field has a default: the paper's, where the paper gives one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    source: ClassVar[str] = ""
    """The paper, section and equation that the component implements."""


C = TypeVar("C", bound=Component)
_LONGEST = 200


def closest(name: str, accepted: list[str]) -> str:
    """The end of an error message: a likely name, if there is one, and all that are accepted."""
    name = name[:_LONGEST]
    likely = difflib.get_close_matches(name, accepted, n=1)
    hint = f"did you mean {likely[0]!r}? " if likely else ""
    return f"{hint}Accepted: {', '.join(accepted)}."


class Registry(Generic[C]):
    """Components of one kind by name.

    A component of this package registers with the decorator when its package is imported; a third party does the
    same, or names its class under the entry-point group `palimpsest.<package>`.

    Args:
        kind: What error messages call it.
        package: The package whose import registers what is built in; also the entry-point group.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._components: dict[str, type[C]] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[type[C]], type[C]]:
        """Decorate a component class with the name under which configurations find it."""

        def add(component: type[C]) -> type[C]:
            known = self._components.get(name)
            if known is not None and known.__qualname__ != component.__qualname__:
                raise ConfigurationError(f"The {self.kind} name {name!r} is taken by {known.__module__}.")
            self._components[name] = component
            return component

        return add

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._components)

    def get(self, name: str) -> type[C]:
        """The component class of that name.

        Raises:
            ConfigurationError: No component has that name.
        """
        self._load()
        if name not in self._components:
            raise ConfigurationError(
                f"There is no {self.kind} {name[:_LONGEST]!r}: {closest(name, self.names())}"
            )
        return self._components[name]

    def __iter__(self) -> Iterator[tuple[str, type[C]]]:
        return iter((name, self._components[name]) for name in self.names())

    def _load(self) -> None:
        if self._complete:
            return
        self._complete = True
        importlib.import_module(self.package)
        for entry in entry_points(group=self.package):
            if entry.name not in self._components:
                self.register(entry.name)(entry.load())


ATTACKS: Registry[Any] = Registry("attack", "palimpsest.attacks")
DEFENSES: Registry[Any] = Registry("defence", "palimpsest.defenses")
VERIFIERS: Registry[Any] = Registry("verifier", "palimpsest.proofs")
METHODS: Registry[Any] = Registry("unlearning method", "palimpsest.unlearning")
AGGREGATIONS: Registry[Any] = Registry("aggregation", "palimpsest.federation")
PARTITIONS: Registry[Any] = Registry("partition", "palimpsest.datasets")
MODELS: Registry[Any] = Registry("model", "palimpsest.models")
