"""Building of configurations from presets, YAML files and single keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from palimpsest.config.explain import LONGEST_VALUE, explain_validation
from palimpsest.config.imports import KEY as IMPORTS
from palimpsest.config.imports import imported_names, load_imports
from palimpsest.config.schema import AuditConfig, RunConfig
from palimpsest.config.section import Section
from palimpsest.config.yaml_file import read_mapping
from palimpsest.errors import ConfigurationError
from palimpsest.progress import warn
from palimpsest.registry import likely

K = TypeVar("K", bound=RunConfig)

PRESETS = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """Return the names of the presets, sorted, but with `digits` first, which needs no download.

    Example:
        >>> preset_names()[0]
        'digits'
    """
    return sorted((path.stem for path in PRESETS.glob("*.yaml")), key=lambda name: (name != "digits", name))


def read_config(preset: str | Path, overrides: Mapping[str, Any] | None = None) -> AuditConfig:
    """Build an audit's configuration from a preset or a YAML file, and replace single keys.

    Args:
        preset: A name from `preset_names`, or the path of a YAML file.
        overrides: Nested or dotted keys, as in `{"federation": {"rounds": 5}}` or `{"federation.rounds": 5}`. They take
            precedence over the file. If omitted, no key is replaced.

    Raises:
        ConfigurationError: The preset is unknown, the YAML is not a mapping, or a key or value is not accepted.

    Example:
        >>> config = read_config("digits", {"federation": {"rounds": 5}})
        >>> config.federation.rounds
        5
    """
    return build_config(merged(read_preset(preset), overrides or {}), where=str(preset))


def read_preset(preset: str | Path) -> dict[Any, Any]:
    """Read the keys and values of a preset or a YAML file without validating them.

    Args:
        preset: A name from `preset_names`, or the path of a YAML file.

    Raises:
        ConfigurationError: The preset is unknown, or the YAML is not a mapping.
    """
    path = PRESETS / f"{preset}.yaml"
    if not path.is_file():
        path = Path(preset)
        if path.suffix not in (".yaml", ".yml"):
            raise ConfigurationError(
                f"There is no preset {str(preset)[:LONGEST_VALUE]!r}: {likely(str(preset), preset_names())}"
                "`palimpsest presets` lists them, and a file of your own must end in .yaml."
            )
    return read_mapping(path)


def build_config(tree: Mapping[str, Any], *, where: str = "the configuration") -> AuditConfig:
    """Build an audit's configuration from a nested mapping.

    Args:
        tree: Keys and values as in a preset, nested or dotted (`attack.epochs`). Missing keys have their defaults.
        where: Name of the source in error messages.

    Raises:
        ConfigurationError: A key or value is not accepted; the message lists all of them.

    Example:
        >>> build_config({"attack": {"name": "lti"}, "seed": 5}).seed
        5
    """
    return validate(AuditConfig, tree, where=where)


def validate(kind: type[K], tree: Mapping[str, Any], *, where: str, imports: bool = True) -> K:
    """Build a configuration of any class from a nested mapping.

    Args:
        kind: The class of the configuration.
        tree: Keys and values. Missing keys have their defaults.
        where: Name of the source in error messages.
        imports: Import the modules under `imports` first. Pass False for a mapping from an untrusted source.

    Raises:
        ConfigurationError: A key or value is not accepted; the message lists all of them.
    """
    tree = nested(tree)
    if imports:
        load_imports(tree)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        explanation = explain_validation(error, list(kind.model_fields))
        raise ConfigurationError(f"In {where}, {explanation}") from error


def merged(
    tree: Mapping[str, Any], overrides: Mapping[str, Any], kind: type[RunConfig] = AuditConfig
) -> dict[str, Any]:
    """Merge nested keys. Where an override names another component, the previous component's settings are dropped.

    The modules under `imports` of both mappings are imported, because they may register the components.

    Args:
        tree: Keys and values as in a preset.
        overrides: Keys that take precedence.
        kind: The class of the configuration.

    Raises:
        ConfigurationError: A module can't be imported, or a component's name is unknown.
    """
    result, overrides = nested(tree), nested(overrides)
    if IMPORTS in overrides:
        result[IMPORTS] = [*imported_names(tree), *imported_names(overrides)]
        del overrides[IMPORTS]
    load_imports(result)
    for key, value in overrides.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            section = kind.model_fields[key].annotation if key in kind.model_fields else None
            result[key] = {**_without_replaced(section, below, value), **value}
        else:
            result[key] = value
    return result


def nested(tree: Mapping[Any, Any]) -> dict[Any, Any]:
    """Expand dotted keys, such as `attack.epochs`, to mappings.

    Args:
        tree: Keys, dotted or not, and values.

    Returns:
        The same values under keys without dots at the top level.

    Raises:
        ConfigurationError: A dotted key names a setting of something that is no section, or that is given twice.

    Example:
        >>> nested({"attack.epochs": 5, "attack": {"name": "igf"}, "seed": 1})
        {'attack': {'epochs': 5, 'name': 'igf'}, 'seed': 1}
    """
    result: dict[Any, Any] = {}
    for key, value in tree.items():
        section, dot, setting = str(key).partition(".")
        part, name = ({setting: value}, section) if dot else (value, key)
        if name not in result:
            result[name] = part
            continue
        before = result[name]
        if not (isinstance(before, Mapping) and isinstance(part, Mapping)) or before.keys() & part.keys():
            raise ConfigurationError(f"{str(key)[:LONGEST_VALUE]} is given twice. Give each setting once.")
        result[name] = {**before, **part}
    return result


def _without_replaced(section: Any, below: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section's keys without the settings of components that an override replaces."""
    if not (isinstance(section, type) and issubclass(section, Section)):
        return dict(below)
    kept = dict(below)
    for key, registry in section.selectors.items():
        before = below.get(key, section.model_fields[key].default)
        if key in value and value[key] != before:
            settings = set(registry.get(before).model_fields) - set(section.model_fields)
            kept = {name: setting for name, setting in kept.items() if name not in settings}
    for key, scopes in section.only_with.items():
        before = below.get(key, section.model_fields[key].default)
        dropped = [name for name in scopes.get(before, ()) if name in kept and name not in value]
        if key in value and value[key] != before and dropped:
            warn(
                f"{key} is now {value[key]!r}, so {', '.join(dropped)} of the preset or file no longer applies."
            )
            kept = {name: setting for name, setting in kept.items() if name not in dropped}
    return kept
