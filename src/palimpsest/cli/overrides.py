"""The command line's view of the configuration: every key, nothing required, documented by the configuration itself."""

import re
from collections.abc import Iterator
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from cyclopts import Parameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model
from pydantic.fields import FieldInfo

from palimpsest.config import AuditConfig, RunConfig, Section
from palimpsest.errors import ConfigurationError

_YAML = ("defenses", "model_arguments")
_NOT_FLAGS = ("description", "paper")


@cache
def override_model(config: type[RunConfig] = AuditConfig) -> type[BaseModel]:
    """A model with every key of a configuration and of every registered component, each of them optional.

    Args:
        config: The kind of configuration.
    """
    fields: dict[str, Any] = {}
    for name, info in config.model_fields.items():
        kind = info.annotation
        if name in _YAML:
            fields[name] = _flag(str, info.description or "")
        elif name not in _NOT_FLAGS and isinstance(kind, type) and issubclass(kind, Section):
            fields[name] = (Annotated[_section_model(kind), Parameter(group=_title(kind))], None)
        elif name not in _NOT_FLAGS:
            fields[name] = _flag(*_description(info))
    return _model("Overrides", fields)


def given_keys(overrides: BaseModel | None) -> dict[str, Any]:
    """The nested keys that were given, ready for `read_config`.

    Raises:
        ConfigurationError: A list or mapping is not YAML.
    """
    if overrides is None:
        return {}
    tree = overrides.model_dump(exclude_unset=True, exclude_none=True)
    for name in _YAML:
        if name in tree:
            try:
                tree[name] = yaml.safe_load(tree[name])
            except yaml.YAMLError as error:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} is {tree[name]!r}, which is not YAML: write "
                    "a list such as '[{name: sign}]', or keys such as '{num_classes: 10}'."
                ) from error
    return {key: value for key, value in tree.items() if value != {}}


def _section_model(section: type[Section]) -> type[BaseModel]:
    kinds: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for owner, name, info in _fields(section):
        kind, text = _description(info)
        kinds[name] = kinds[name] | kind if name in kinds and kinds[name] != kind else kind
        texts.setdefault(name, []).append(f"{owner}: {text}" if owner else text)
    fields = {name: _flag(kind, _joined(texts[name])) for name, kind in kinds.items()}
    return _model(f"{section.__name__}Overrides", fields)


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    # The overloads of create_model take its own options for fields of other types.
    create: Any = create_model
    return create(name, __config__=ConfigDict(extra="forbid"), **fields)


def _fields(section: type[Section]) -> Iterator[tuple[str, str, FieldInfo]]:
    """The section's own fields, then those of the components that it can name, with the components' names."""
    for name, info in section.model_fields.items():
        yield "", name, info
    for registry in section.selectors.values():
        for owner, component in registry:
            for name, info in component.model_fields.items():
                yield owner, name, info


def _flag(kind: Any, text: str) -> tuple[Any, Any]:
    several = get_origin(kind) is list
    parameter = Parameter(
        help=text, show_default=False, consume_multiple=several, negative="" if several else None
    )
    return (Annotated[kind | None, parameter], None)


def _description(info: FieldInfo) -> tuple[Any, str]:
    """A flag's type and help: the field's docstring, and its default."""
    kind = info.annotation
    text = re.sub(r"\s+", " ", info.description or "")
    default = "" if info.is_required() or info.default is None else f" [default: {info.default}]"
    if any(isinstance(extra, BeforeValidator) for extra in info.metadata):
        # Written as text, such as 4GiB; the configuration reads it.
        return str, text
    # Bounds are checked with the whole configuration, which names the key and what is accepted.
    return _plain(kind), f"{text}{default}"


def _plain(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return list[_plain(arguments[0])]
    if arguments and get_origin(kind) is not Literal and type(None) in arguments:
        return reduce(or_, [_plain(one) for one in arguments if one is not type(None)])
    return kind


def _joined(texts: list[str]) -> str:
    unique: dict[str, list[str]] = {}
    for text in texts:
        owner, _, rest = text.partition(": ") if re.match(r"[\w-]+: ", text) else ("", "", text)
        unique.setdefault(rest, []).append(owner)
    return " ".join(
        f"({', '.join(filter(None, owners))}) {text}" if any(owners) else text
        for text, owners in unique.items()
    )


def _title(section: type[Section]) -> str:
    return section.__name__.removesuffix("Config")
