"""The components that a command line selects, found before its flags are made, so that help shows their flags."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from palimpsest.config import AuditConfig, RunConfig, Section, load_imports, preset_names, read_preset
from palimpsest.errors import ConfigurationError

Selection = Mapping[tuple[str, str], str]
"""Names of the chosen components, by the keys of section and selector, such as `("attack", "name")`."""

_IMPORT = "--import"


def sections(config: type[RunConfig]) -> Iterator[tuple[str, type[Section]]]:
    """Iterate over the sections of a configuration and their keys.

    Args:
        config: The class of the configuration.
    """
    for name, info in config.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield name, kind


def import_named_modules(arguments: Sequence[str]) -> None:
    """Import the modules that `--import` names, so that the flags of their components are known.

    Args:
        arguments: The command line.

    Raises:
        ConfigurationError: A module can't be imported.
    """
    load_imports({"imports": list(_values(arguments, _IMPORT))})


def select(config: type[RunConfig], arguments: Sequence[str]) -> Selection:
    """Find the components that the flags, preset or YAML file on a command line select; the others are defaults.

    Args:
        config: The class of the command's configuration.
        arguments: The command line.

    Raises:
        ConfigurationError: A module that the YAML file imports can't be imported.
    """
    tree = _named_file(config, arguments)
    load_imports(tree)
    chosen: dict[tuple[str, str], str] = {}
    for name, section in sections(config):
        below = tree.get(name)
        for key in section.selectors:
            default = section.model_fields[key].default
            value = below.get(key, default) if isinstance(below, Mapping) else default
            chosen[name, key] = str(next(reversed([value, *_values(arguments, f"--{name}.{key}")])))
    return chosen


def section_of_flag(config: type[RunConfig] | None, flag: str) -> str | None:
    """Return the flags to use in place of one that names a whole section, such as `--attack.name` for `--attack`.

    Args:
        config: The class of the command's configuration, or None if the command has none.
        flag: A flag without its value.

    Returns:
        None if the flag is not the name of a section.
    """
    section = dict(sections(config) if config else ()).get(flag.removeprefix("--"))
    if section is None:
        return None
    main = ["name"] if "name" in section.model_fields else [*section.selectors][:1]
    return " or ".join(f"{flag}.{key.replace('_', '-')}" for key in main or section.model_fields)


def _values(arguments: Sequence[str], flag: str) -> Iterator[str]:
    """Yield the value of each occurrence of a flag on the command line."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == flag and following:
            yield following
        elif argument.startswith(f"{flag}="):
            yield argument.partition("=")[2]


def _named_file(config: type[RunConfig], arguments: Sequence[str]) -> dict[Any, Any]:
    """Read the first preset or YAML file on the command line; the command itself reports errors in it later."""
    presets = preset_names() if config is AuditConfig else []
    for argument in arguments:
        if argument in presets or (argument.endswith((".yaml", ".yml")) and Path(argument).is_file()):
            try:
                return read_preset(argument)
            except ConfigurationError:
                return {}
    return {}
