"""Registries that find components, such as attacks and defenses, by name: built-in, installed or imported ones."""

import difflib
import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from pathlib import Path
from types import ModuleType
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


C = TypeVar("C")
_LONGEST = 200


def closest(name: str, accepted: list[str]) -> str:
    """The end of an error message: a likely name, if there is one, and all that are accepted."""
    return f"{likely(name, accepted)}Accepted: {', '.join(accepted)}."


def likely(name: str, accepted: list[str]) -> str:
    """A question after the name that may be meant, with a space behind it; empty where none is near."""
    near = difflib.get_close_matches(name[:_LONGEST], accepted, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def summary(component: type) -> str:
    """The first sentence of what a component says of itself."""
    return (inspect.getdoc(component) or "").partition("\n")[0]


class Registry(Generic[C]):
    """Classes of one kind by name.

    A built-in class registers with the decorator: the registry imports every module of its package when a name is first
    looked up. An installed package names its class in an entry point, which is then imported too. Any other module
    registers with the decorator when its user imports it, as `--import` does.

    Args:
        kind: The word for a component in error messages.
        package: The package whose modules register the built-in classes.
        group: The entry-point group of installed packages' classes.
        bases: Names of classes in the package; an installed package's class must extend one of them. Empty for any.
    """

    def __init__(self, kind: str, package: str, *, group: str = "", bases: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.package = package
        self.group = group or package
        self.bases = bases
        self._components: dict[str, type[C]] = {}
        self._packages: dict[str, str] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[type[C]], type[C]]:
        """Decorate a class with the name under which configurations find it."""

        def add(component: type[C]) -> type[C]:
            known = self._components.get(name)
            if known is not None and known.__qualname__ != component.__qualname__:
                raise ConfigurationError(f"The {self.kind} name {name!r} is taken by {known.__module__}.")
            self._components[name] = component
            self._packages[name] = _origin(component)
            return component

        return add

    def names(self) -> list[str]:
        """All names, sorted."""
        self._load()
        return sorted(self._components)

    def get(self, name: str) -> type[C]:
        """The class of that name.

        Raises:
            ConfigurationError: Nothing has that name.
        """
        self._load()
        if name not in self._components:
            raise ConfigurationError(
                f"There is no {self.kind} {name[:_LONGEST]!r}: {closest(name, self.names())}"
            )
        return self._components[name]

    def package_of(self, name: str) -> str:
        """Name and version of the package or module that a class comes from, such as `shapes 1.0`; empty if built in.

        A module that belongs to no installed package has a hash of its file in the place of the version.
        """
        self._load()
        return self._packages.get(name, "")

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._components

    def __iter__(self) -> Iterator[tuple[str, type[C]]]:
        return iter((name, self._components[name]) for name in self.names())

    def _load(self) -> None:
        if self._complete:
            return
        self._complete = True
        try:
            package = import_submodules(self.package)
            bases = tuple(getattr(package, base) for base in self.bases)
            for entry in entry_points(group=self.group):
                self.register(entry.name)(self._theirs(entry, bases))
                self._packages[entry.name] = _package(entry)
        except Exception:
            # The next look-up raises the error again, instead of finding only a part.
            self._complete = False
            raise

    def _theirs(self, entry: EntryPoint, bases: tuple[type, ...]) -> type[C]:
        whose = f"The {self.kind} {entry.name!r} of the installed package {_package(entry)}"
        try:
            found: Any = entry.load()
        # An installed package may fail in any way.
        except Exception as error:
            raise ConfigurationError(
                f"{whose} can't be imported ({type(error).__name__}: {error}): mend that package or uninstall it."
            ) from error
        if not isinstance(found, type) or (bases and not issubclass(found, bases)):
            wanted = " or ".join(f"{self.package}.{base}" for base in self.bases) or "a class"
            raise ConfigurationError(f"{whose} is no subclass of {wanted}: {entry.value} has to name one.")
        return found


def import_submodules(package: str) -> ModuleType:
    """Import every module of a package, those of its subpackages too, and return the package."""
    parent = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(parent, "__path__", ()), f"{package}.", onerror=_reraise):
        importlib.import_module(module.name)
    return parent


def _reraise(_: str) -> None:
    raise  # noqa: PLE0704 - walk_packages calls this while it handles the error of an import


def _origin(component: type) -> str:
    """The package or module of a class that registered with the decorator; empty if it is built in or has no file."""
    name = component.__module__
    top = name.partition(".")[0]
    path = getattr(sys.modules.get(name), "__file__", None)
    if top in ("palimpsest", "__main__") or path is None or not Path(path).is_file():
        return ""
    for distribution in _distributions().get(top, ()):
        return f"{distribution} {version(distribution)}"
    return f"{name} sha256-{sha256(Path(path).read_bytes()).hexdigest()[:16]}"


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The installed distributions of each top-level module; reading them all takes a tenth of a second."""
    return packages_distributions()


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else f"{entry.value} ?"


ATTACKS: Registry[Any] = Registry("attack", "palimpsest.attacks", bases=("Attack", "ServerAttack"))
DEFENSES: Registry[Any] = Registry("defense", "palimpsest.defenses", bases=("Defense",))
VERIFIERS: Registry[Any] = Registry(
    "verifier", "palimpsest.proofs", group="palimpsest.verifiers", bases=("Verifier",)
)
METHODS: Registry[Any] = Registry("unlearning method", "palimpsest.unlearning", bases=("Method",))
AGGREGATIONS: Registry[Any] = Registry(
    "aggregation", "palimpsest.federation", group="palimpsest.aggregations", bases=("Aggregation",)
)
PARTITIONS: Registry[Any] = Registry("partition", "palimpsest.datasets", group="palimpsest.partitions")
MODELS: Registry[Any] = Registry("model", "palimpsest.models", bases=("Classifier",))
DATASETS: Registry[Any] = Registry("data set", "palimpsest.datasets", bases=("Source",))
METRICS: Registry[Any] = Registry("metric", "palimpsest.metrics", bases=("Metric",))
