"""Registries of components, such as attacks and defenses, by name: built-in, installed or imported ones."""

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
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from palimpsest.errors import ConfigurationError


class Component(BaseModel):
    """Base class of named components with settings, such as attacks and defenses.

    The fields are keys of the configuration and flags of the command line, and a field's docstring is its help text.
    Every field has a default: the paper's, if the paper gives one.

    Example:
        >>> class Shift(Component):
        ...     amount: float = 0.5
        >>> Shift(amount=2).amount
        2.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    source: ClassVar[str] = ""
    """The paper, section and equation that the component implements."""


C = TypeVar("C")
K = TypeVar("K", bound=type[Any])
_LONGEST_NAME = 200


def closest(name: str, accepted: list[str]) -> str:
    """Return the end of an error message about an unknown name: the closest accepted name, and all of them.

    Args:
        name: The unknown name.
        accepted: The accepted names.

    Example:
        >>> closest("ifg", ["igf", "lti"])
        "did you mean 'igf'? Choose one of igf, lti."
        >>> closest("x", ["igf", "lti"])
        'choose one of igf, lti.'
    """
    question = likely(name, accepted)
    return f"{question}{'Choose' if question else 'choose'} one of {', '.join(accepted)}."


def likely(name: str, accepted: list[str]) -> str:
    """Return a question that suggests the closest accepted name, with a trailing space; empty if no name is close.

    Args:
        name: The unknown name.
        accepted: The accepted names.
    """
    near = difflib.get_close_matches(name[:_LONGEST_NAME], accepted, n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def summary(component: type) -> str:
    """Return the first line of a component's docstring.

    Args:
        component: The component's class.
    """
    return (inspect.getdoc(component) or "").partition("\n")[0]


class Registry(Generic[C]):
    """Classes of one kind by name.

    Built-in classes register with the decorator `register`; the registry imports every module of its package when a
    name is first looked up. Installed packages name their classes in entry points, which are imported at the same time.
    Any other module registers with the decorator when it is imported, as with `--import`.

    Args:
        kind: The word for a component in error messages, such as `attack`.
        package: The package whose modules register the built-in classes.
        group: The entry-point group of installed packages' classes. If omitted, the name of the package.
        bases: Names of classes in the package; a class from an installed package must extend one of them. If empty,
            any class is accepted.

    Example:
        >>> DEFENSES.get("sign").__name__
        'SignCompression'
        >>> "sign" in DEFENSES
        True
    """

    def __init__(self, kind: str, package: str, *, group: str = "", bases: tuple[str, ...] = ()) -> None:
        """Create an empty registry; classes are loaded when a name is first looked up."""
        self.kind = kind
        self.package = package
        self.group = group or package
        self.bases = bases
        self._components: dict[str, type[C]] = {}
        self._packages: dict[str, str] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[K], K]:
        """Return a decorator that registers a class under a name.

        Args:
            name: The name that configurations use.
        """

        def add(component: K) -> K:
            known = self._components.get(name)
            if known is not None and known.__qualname__ != component.__qualname__:
                raise ConfigurationError(
                    f"The {self.kind} name {name!r} is taken by {known.__module__}. Register the class under another "
                    "name."
                )
            self._components[name] = cast("type[C]", component)
            self._packages[name] = _origin(component)
            return component

        return add

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._load()
        return sorted(self._components)

    def get(self, name: str) -> type[C]:
        """Return the class of a name.

        Args:
            name: The name that the class was registered under.

        Raises:
            ConfigurationError: No class has that name.
        """
        self._load()
        if name not in self._components:
            raise ConfigurationError(
                f"There is no {self.kind} {name[:_LONGEST_NAME]!r}: {closest(name, self.names())}"
            )
        return self._components[name]

    def package_of(self, name: str) -> str:
        """Return the name and version of the package that a class comes from, such as `shapes 1.0`.

        Args:
            name: The name that the class was registered under.

        Returns:
            Empty for a built-in class. For a module outside of any installed package, its name and a hash of its file.
        """
        self._load()
        return self._packages.get(name, "")

    def __contains__(self, name: object) -> bool:
        """Return whether a class is registered under a name."""
        self._load()
        return name in self._components

    def __iter__(self) -> Iterator[tuple[str, type[C]]]:
        """Iterate over names and classes, in the order of the names."""
        return iter((name, self._components[name]) for name in self.names())

    def _load(self) -> None:
        if self._complete:
            return
        self._complete = True
        try:
            package = import_submodules(self.package)
            bases = tuple(getattr(package, base) for base in self.bases)
            for entry in entry_points(group=self.group):
                self.register(entry.name)(self._load_entry(entry, bases))
                self._packages[entry.name] = _package(entry)
        except Exception:
            # The next lookup must raise the error again instead of finding only some of the classes.
            self._complete = False
            raise

    def _load_entry(self, entry: EntryPoint, bases: tuple[type, ...]) -> type[C]:
        label = f"The {self.kind} {entry.name!r} of the installed package {_package(entry)}"
        try:
            component: Any = entry.load()
        # An installed package may fail in any way.
        except Exception as error:
            raise ConfigurationError(
                f"{label} can't be imported ({type(error).__name__}: {error}). Repair that package or uninstall it."
            ) from error
        if not isinstance(component, type) or (bases and not issubclass(component, bases)):
            expected = " or ".join(f"{self.package}.{base}" for base in self.bases)
            expected = f"a subclass of {expected}" if expected else "a class"
            raise ConfigurationError(f"{label} is not {expected}: its entry point names {entry.value}.")
        return component


def import_submodules(package: str) -> ModuleType:
    """Import every module of a package and of its subpackages.

    Args:
        package: The package's full name.

    Returns:
        The package.
    """
    parent = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(parent, "__path__", ()), f"{package}.", onerror=_reraise):
        importlib.import_module(module.name)
    return parent


def _reraise(_: str) -> None:
    raise  # noqa: PLE0704 - walk_packages calls this while it handles the error of an import


def _origin(component: type) -> str:
    """Return the package or module of a decorated class; empty if built in or without a file."""
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
    """Return the installed distributions of each top-level module; cached, because it takes a tenth of a second."""
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
