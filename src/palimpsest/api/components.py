"""The list of registered components: attacks, defenses and the other things that a configuration names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from palimpsest.datasets.hub import PUBLISHED
from palimpsest.errors import ConfigurationError
from palimpsest.registry import (
    AGGREGATIONS,
    ATTACKS,
    DATASETS,
    DEFENSES,
    METHODS,
    METRICS,
    MODELS,
    PARTITIONS,
    VERIFIERS,
    Registry,
    closest,
    summary,
)

Kind = Literal[
    "attacks",
    "defenses",
    "methods",
    "models",
    "data",
    "metrics",
    "verifiers",
    "aggregations",
    "partitions",
]

_REGISTRIES: Mapping[str, Registry[Any]] = {
    "attacks": ATTACKS,
    "defenses": DEFENSES,
    "methods": METHODS,
    "models": MODELS,
    "data": DATASETS,
    "metrics": METRICS,
    "verifiers": VERIFIERS,
    "aggregations": AGGREGATIONS,
    "partitions": PARTITIONS,
}


@dataclass(frozen=True)
class ListedComponent:
    """A component that a configuration can name.

    Args:
        kind: The kind of component, in the plural, such as `attacks`.
        name: The name that configurations use.
        summary: The first line of its docstring.
        package: Name and version of the third-party package that it comes from; empty if it is built in.

    Example:
        >>> import palimpsest
        >>> palimpsest.components("defenses")[-1].name
        'smooth'
    """

    kind: str
    name: str
    summary: str
    package: str


def components(kind: Kind | None = None) -> tuple[ListedComponent, ...]:
    """List the attacks, defenses and other components that a configuration can name.

    Args:
        kind: `attacks`, `defenses`, `methods` (of unlearning), `models`, `data`, `metrics`, `verifiers`, `aggregations`
            or `partitions`. If omitted, the components of all kinds.

    Returns:
        The components, by kind and name. Components of installed packages and of imported modules are among them.

    Raises:
        ConfigurationError: There is no such kind.

    Example:
        >>> import palimpsest
        >>> print(palimpsest.components("attacks")[0].name)
        cocktail-party
    """
    if kind is not None and kind not in _REGISTRIES:
        raise ConfigurationError(
            f"There are no components {str(kind)[:80]!r}: {closest(str(kind), list(_REGISTRIES))}"
        )
    chosen = _REGISTRIES if kind is None else [kind]
    return tuple(component for name in chosen for component in _listed(name))


def _listed(kind: str) -> Iterator[ListedComponent]:
    registry = _REGISTRIES[kind]
    lines = {name: summary(component) for name, component in registry}
    if kind == "data":
        lines |= {name: _published(name) for name in PUBLISHED}
    for name, line in sorted(lines.items()):
        yield ListedComponent(kind, name, line, registry.package_of(name))


def _published(name: str) -> str:
    published = PUBLISHED[name]
    classes = f" of {published.classes} classes" if published.classes else ""
    if published.hub_folder is None:
        return f"Image set{classes} in the folder {published.folder} of a local mirror (--data-dir)."
    return (
        f"Image set{classes}, {published.folder} on the Hugging Face Hub or in a local mirror (--data-dir)."
    )
