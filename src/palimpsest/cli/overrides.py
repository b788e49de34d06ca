"""Optional flags for every key of a configuration, with help texts from the configuration's docstrings."""

import re
from collections.abc import Callable, Collection, Iterator
from functools import reduce
from operator import or_
from types import FunctionType
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from cyclopts import Group, Parameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model
from pydantic.fields import FieldInfo

from palimpsest.attacks import ServerAttack
from palimpsest.cli.brief_help import REQUIRED
from palimpsest.cli.selection import Selection, sections
from palimpsest.config import AuditConfig, RunConfig, Section
from palimpsest.datasets import dataset_names
from palimpsest.errors import ConfigurationError
from palimpsest.registry import ATTACKS, DEFENSES, METRICS

_YAML = ("defenses", "model_arguments")
_NOT_FLAGS = ("description", "paper")
_IMPORTS = "imports"
# Settings that brief help leaves out, by section.
_RARELY_CHANGED = {
    "data": ("auxiliary_overlap",),
    "federation": ("minimum_replies", "attempts", "weight_decay", "dp_clip", "dp_delta"),
    "unlearning": ("ensure_participation", "fresh_seed"),
    "membership": ("pairs",),
    "proofs": ("group_size",),
    "verification": ("quantile",),
}
_OTHER = Group("Other settings", sort_key=1000)


def override_model(
    config: type[RunConfig] = AuditConfig, selection: Selection | None = None
) -> type[BaseModel]:
    """Create a model with every key of a configuration and of every registered component, all optional.

    Args:
        config: The class of the configuration.
        selection: The components whose flags help shows. If None, help shows those of all components.
    """
    parts = dict(sections(config))
    fields: dict[str, Any] = {}
    for name, info in config.model_fields.items():
        if name in _NOT_FLAGS:
            continue
        if name in parts:
            fields[name] = _section_flags(name, parts[name], len(fields), selection)
        elif name == "defenses" and selection is not None:
            names = f"Defenses: {', '.join(DEFENSES.names())}."
            fields[name] = _flag(
                str, info.description or "", group=Group("Defenses", names, sort_key=len(fields))
            )
        elif name in _YAML:
            fields[name] = _flag(str, info.description or "")
        elif name == _IMPORTS:
            fields[name] = _flag(list[str], info.description or "", name="--import", consume_multiple=False)
        else:
            fields[name] = _flag(*_description(info))
    return _model("Overrides", fields)


def with_flags(command: Callable[..., Any], model: type[BaseModel]) -> Callable[..., Any]:
    """Copy a command, and replace the type of its parameter `overrides` by a model.

    Args:
        command: The command.
        model: The model with the flags, from `override_model`.
    """
    assert isinstance(command, FunctionType), "commands are plain functions"
    copy = FunctionType(
        command.__code__, command.__globals__, command.__name__, command.__defaults__, command.__closure__
    )
    copy.__kwdefaults__, copy.__doc__ = command.__kwdefaults__, command.__doc__
    flags = Annotated[model | None, Parameter(name="*")]
    copy.__annotations__ = {**command.__annotations__, "overrides": flags}
    return copy


def given_keys(overrides: BaseModel | None) -> dict[str, Any]:
    """Return the nested keys that were given on the command line, in the form that `read_config` takes.

    Args:
        overrides: The parsed flags, or None if the command has none.

    Raises:
        ConfigurationError: The value of `--defenses` or `--model-arguments` is not YAML.
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
                    f"--{name.replace('_', '-')} is {tree[name]!r}, which is not YAML. Write "
                    "a list such as '[{name: sign}]', or keys such as '{num_classes: 10}'."
                ) from error
    return {key: value for key, value in tree.items() if value != {}}


def _section_flags(
    name: str, section: type[Section], place: int, selection: Selection | None
) -> tuple[Any, None]:
    chosen = None if selection is None else {key: selection[name, key] for key in section.selectors}
    show = selection is None or _is_listed(name, selection)
    hidden = () if selection is None else _RARELY_CHANGED.get(name, ())
    model = _section_model(section, chosen, show=show, hidden=hidden)
    if selection is None:
        group = Group(section.__name__.removesuffix("Config"), sort_key=place)
    else:
        group = Group(*_heading(name, section, selection), sort_key=place) if section.selectors else _OTHER
    return Annotated[model, Parameter(group=group)], None


def _is_listed(name: str, selection: Selection) -> bool:
    """Return whether brief help lists a section: it has an effect on the chosen attack, and is often changed."""
    if name == "scoring":
        return False
    attack = selection.get(("attack", "name"), "")
    if name != "observation":
        return True
    return attack in ATTACKS and issubclass(ATTACKS.get(attack), ServerAttack)


def _heading(name: str, section: type[Section], selection: Selection) -> tuple[str, str]:
    """Return a section's title and the names of the components that were not chosen."""
    title = section.__name__.removesuffix("Config")
    texts = [f"Data sets: {', '.join(dataset_names())}."] if name == "data" else []
    for key, registry in section.selectors.items():
        chosen = selection[name, key]
        if key == "name":
            title = f"{title}: {chosen}"
        others = ", ".join(other for other in registry.names() if other != chosen)
        texts.append(f"Other {registry.kind}s: {others}.")
    return title, " ".join(texts)


def _section_model(
    section: type[Section],
    chosen: dict[str, str] | None,
    *,
    show: bool = True,
    hidden: Collection[str] = (),
) -> type[BaseModel]:
    """Create the flags of a section; hidden flags are accepted too.

    Args:
        section: The declared section.
        chosen: The component of each selector whose flags help shows. If None, help shows those of all components.
        show: Show the section in help.
        hidden: Settings whose flags help does not show.
    """
    kinds: dict[str, Any] = {}
    texts: dict[str, list[tuple[str, str]]] = {}
    visible: dict[str, list[tuple[str, str]]] = {}
    for key, owner, name, info in _fields(section):
        kind, text = _description(info)
        if not owner and name in section.selectors and chosen is None:
            text = f"{text} Choices: {', '.join(section.selectors[name].names())}."
        elif name == "metrics":
            text = f"{text} Choices: {', '.join(METRICS.names())}."
        kinds[name] = kinds[name] | kind if name in kinds and kinds[name] != kind else kind
        texts.setdefault(name, []).append((owner, text))
        if chosen is not None and name not in hidden and (not owner or chosen[key] == owner):
            visible.setdefault(name, []).append(("", text))
    fields = {
        name: _flag(
            kind, _joined(visible.get(name, texts[name])), show=show and (chosen is None or name in visible)
        )
        for name, kind in kinds.items()
    }
    return _model(f"{section.__name__}Overrides", fields)


def _model(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    # Type checkers take the fields for options of create_model.
    create: Any = create_model
    return create(name, __config__=ConfigDict(extra="forbid"), **fields)


def _fields(section: type[Section]) -> Iterator[tuple[str, str, str, FieldInfo]]:
    """Yield selector, component, name and field; the section's own fields, which come first, have no component."""
    for name, info in section.model_fields.items():
        yield "", "", name, info
    for key, registry in section.selectors.items():
        for owner, component in registry:
            for name, info in component.model_fields.items():
                yield key, owner, name, info


def _flag(kind: Any, text: str, **settings: Any) -> tuple[Any, None]:
    several = get_origin(kind) is list
    common = {
        "help": text,
        "show_default": False,
        "consume_multiple": several,
        "negative": "" if several else None,
    }
    return Annotated[kind | None, Parameter(**(common | settings))], None


def _description(info: FieldInfo) -> tuple[Any, str]:
    """Return a flag's type and its help text: the field's docstring and its default."""
    kind = info.annotation
    text = re.sub(r"\s+", " ", info.description or "")
    if info.is_required():
        return _plain(kind), f"{text} {REQUIRED}"
    default = _default_text(info.get_default(call_default_factory=True))
    default = f" [default: {default}]" if default else ""
    if any(isinstance(extra, BeforeValidator) for extra in info.metadata):
        # The configuration parses the text, such as 4GiB.
        return str, text
    # Validation of the configuration checks the bounds; its message names the key and the accepted values.
    return _plain(kind), f"{text}{default}"


def _default_text(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    return "" if default is None or default == {} else str(default)


def _plain(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return list[_plain(arguments[0])]
    if arguments and get_origin(kind) is not Literal and type(None) in arguments:
        return reduce(or_, [_plain(argument) for argument in arguments if argument is not type(None)])
    return kind


def _joined(texts: list[tuple[str, str]]) -> str:
    """Join the texts of several components; each distinct text appears once, after the names of its components."""
    unique: dict[str, list[str]] = {}
    for owner, text in texts:
        unique.setdefault(text, []).append(owner)
    return " ".join(
        f"({', '.join(filter(None, owners))}) {text}" if any(owners) else text
        for text, owners in unique.items()
    )
