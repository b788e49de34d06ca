"""A configuration as a commented YAML file, to be filled in."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from palimpsest.config.schema import RunConfig
from palimpsest.config.section import Section

_WIDTH = 96


def commented_yaml(config: RunConfig, given: Mapping[str, Any], *, head: str) -> str:
    """Write a configuration as YAML, with a comment on each key, and with unused keys commented out.

    Args:
        config: The configuration.
        given: The keys that are not commented out, nested as in YAML; they come first.
        head: Text above the keys.

    Returns:
        YAML that reads as `given`.
    """
    order = [*given, *(name for name in type(config).model_fields if name not in given)]
    blocks = [_comment(head)]
    values = config.model_dump(mode="json")
    for name in order:
        part = getattr(config, name)
        if isinstance(part, Section):
            # The configuration itself leaves out some sections and keys that have their default.
            blocks.append("\n".join(_section(name, part, part.model_dump(mode="json"), given.get(name))))
        else:
            blocks.append(_key(config, name, values.get(name, []), used=name in given))
    return "\n\n".join(blocks) + "\n"


def _section(
    name: str, section: Section, values: Mapping[str, Any], given: Mapping[str, Any] | None
) -> Iterator[str]:
    if section.__doc__:
        yield _comment(section.__doc__.partition("\n")[0])
    yield f"{name}:" if given is not None else f"# {name}:"
    # In an unused section, one "#" comments out the line of each key.
    for key in type(section).model_fields:
        text = _key(
            section, key, values[key], used=given is None or key in given, choices=_choices(section, key)
        )
        yield textwrap.indent(text, "  " if given is not None else "#   ")


def _key(part: BaseModel, name: str, value: Any, *, used: bool, choices: str = "") -> str:
    description = " ".join((type(part).model_fields[name].description or "").split())
    line = f"{name}: {yaml.safe_dump(value, default_flow_style=True, width=10**6).partition(chr(10))[0]}"
    lines = [_comment(f"{description}{choices}")] if description else []
    return "\n".join([*lines, line if used else f"# {line}"])


def _choices(section: Section, key: str) -> str:
    registry = section.selectors.get(key)
    return f" One of {', '.join(registry.names())}." if registry else ""


def _comment(text: str) -> str:
    """Return a text as comments; indented lines are commands, which must stay on one line."""
    lines = [
        line
        for part in text.split("\n")
        for line in (
            [part] if part.startswith(" ") else textwrap.wrap(part, _WIDTH, break_on_hyphens=False) or [""]
        )
    ]
    return "\n".join(f"# {line}".rstrip() for line in lines)
