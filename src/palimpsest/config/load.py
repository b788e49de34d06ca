"""Build a configuration: read a preset or a YAML file, replace single keys, validate."""

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
from palimpsest.registry import likely

K = TypeVar("K", bound=RunConfig)

PRESETS = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """The names of the presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def read_config(preset: str | Path, overrides: Mapping[str, Any] | None = None) -> AuditConfig:
    """Build a configuration from a preset's name or a YAML file, with single keys replaced.

    Args:
        preset: A name from `preset_names`, or the path of a YAML file.
        overrides: Nested keys, as in `{"federation": {"rounds": 5}}`; they win over the file.

    Raises:
        ConfigurationError: The preset is unknown, the YAML is not a mapping, or a key or value is not accepted.
    """
    return build_config(merged(read_preset(preset), overrides or {}), where=str(preset))


def read_preset(preset: str | Path) -> dict[Any, Any]:
    """The keys and values of a preset or a YAML file, before validation.

    Raises:
        ConfigurationError: The preset is unknown, or the YAML is not a mapping.
    """
    path = PRESETS / f"{preset}.yaml"
    if not path.is_file():
        path = Path(preset)
        if path.suffix not in (".yaml", ".yml"):
            raise ConfigurationError(
                f"There is no preset {str(preset)[:LONGEST_VALUE]!r}: {likely(str(preset), preset_names())}"
                "`palimpsest presets` lists them, and a file of your own ends in .yaml."
            )
    return read_mapping(path)


def build_config(tree: Mapping[str, Any], *, where: str = "the configuration") -> AuditConfig:
    """Validate a nested mapping.

    Args:
        tree: Keys and values as in a preset.
        where: What an error message calls the source.

    Raises:
        ConfigurationError: A key or value is not accepted; the message names all of them.
    """
    return validate(AuditConfig, tree, where=where)


def validate(kind: type[K], tree: Mapping[str, Any], *, where: str, imports: bool = True) -> K:
    """Validate a nested mapping as a configuration of any kind; arguments and errors as for `build_config`.

    Args:
        kind: The kind of configuration.
        tree: Keys and values.
        where: What an error message calls the source.
        imports: Import the modules under `imports` first. False for a mapping that a stranger may have written.
    """
    if imports:
        load_imports(tree)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {explain_validation(error, list(kind.model_fields))}") from error


def merged(
    tree: Mapping[str, Any], overrides: Mapping[str, Any], kind: type[RunConfig] = AuditConfig
) -> dict[str, Any]:
    """Nested keys with others put in. Naming another component leaves the settings of the one before behind.

    The modules under `imports` of both are imported: the components that are named may be theirs.

    Args:
        tree: Keys and values as in a preset.
        overrides: Keys that win.
        kind: Of which configuration.
    """
    result = dict(tree)
    overrides = dict(overrides)
    if IMPORTS in overrides:
        result[IMPORTS] = [*imported_names(tree), *imported_names(overrides)]
        del overrides[IMPORTS]
    load_imports(result)
    for key, value in overrides.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            section = kind.model_fields[key].annotation if key in kind.model_fields else None
            result[key] = {**_kept(section, below, value), **value}
        else:
            result[key] = value
    return result


def _kept(section: Any, below: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of a section's keys when others are put in."""
    if not (isinstance(section, type) and issubclass(section, Section)):
        return dict(below)
    kept = dict(below)
    for key, registry in section.selectors.items():
        before = below.get(key, section.model_fields[key].default)
        if key in value and value[key] != before:
            settings = set(registry.get(before).model_fields) - set(section.model_fields)
            kept = {name: one for name, one in kept.items() if name not in settings}
    return kept
