"""Hook of mkdocs that replaces `<!-- table: what -->` with tables generated from the program."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cyclopts import App

from palimpsest import registry
from palimpsest.artifacts.config import ArtifactsConfig, OracleConfig
from palimpsest.cli import app
from palimpsest.config import AuditConfig, EngineConfig, Section, preset_names, read_config

Row = tuple[str, str, str]

_MARK = re.compile(r"<!-- table: (?P<what>[a-z]+)(?: (?P<which>[a-z]+))? -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Insert the tables into a page; called by mkdocs."""
    return _MARK.sub(lambda mark: _TABLES[mark["what"]](mark["which"]), markdown)


def section_table(name: str) -> str:
    """Return a table of the keys of one part of the configuration.

    Args:
        name: A field of `AuditConfig`; `audit` or `artifacts` for the keys outside of sections; `oracle` for the oracle
            of artifacts, or `engine` for the oracle of an audit, which has fewer keys.
    """
    if name in ("audit", "artifacts"):
        kind: Any = AuditConfig if name == "audit" else ArtifactsConfig
        keys = [key for key, info in kind.model_fields.items() if not _is_section(info.annotation)]
        return _keys(kind, keys)
    if name == "oracle":
        return _keys(OracleConfig, OracleConfig.model_fields)
    if name == "engine":
        return _keys(EngineConfig, EngineConfig.model_fields, prefix="oracle.")
    section: Any = AuditConfig.model_fields[name].annotation
    return _keys(section, section.model_fields, prefix=f"{name}.")


def component_sections(name: str) -> str:
    """Return a heading, a summary, the source and the settings of each component of a registry, such as `attacks`."""
    texts = []
    for title, component in getattr(registry, name.upper()):
        summary = inspect.getdoc(component) or ""
        source = f"\n\nSource: {component.source}." if component.source else ""
        settings = _keys(component, component.model_fields) if component.model_fields else "No settings."
        texts.append(f"### `{title}`\n\n{summary}{source}\n\n{settings}")
    return "\n\n".join(texts)


def preset_table(_: str | None) -> str:
    """Return a table of every preset with its description and the paper's row."""
    configs = [(name, read_config(name)) for name in preset_names()]
    return _table(
        ("preset", "description", "paper"),
        ((f"`{name}`", config.description, config.paper) for name, config in configs),
    )


def command_sections(_: str | None) -> str:
    """Return a heading, the usage, the description, and the arguments and flags of each command."""
    return "\n\n".join(_command(app[name], f"palimpsest {name}") for name in app if not name.startswith("-"))


def _command(command: App, called: str) -> str:
    below = [name for name in command if not name.startswith("-")]
    if not below:
        needed, rows = _arguments(command)
        usage = " ".join([called, *needed, "[OPTIONS]"])
        return f"## {called}\n\n```text\n{usage}\n```\n\n{_description(command)}\n\n{_argument_table([rows])}"
    texts = [f"## {called}", _description(command)]
    summaries = ((f"`{name}`", _description(command[name]).partition("\n")[0]) for name in below)
    texts.append(_table(("table", "description"), summaries))
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in below:
        alike.setdefault(tuple(row[0] for row in _arguments(command[name])[1]), []).append(name)
    for names in alike.values():
        table = _argument_table([_arguments(command[name])[1] for name in names])
        texts.append(f"Arguments of {', '.join(f'`{name}`' for name in names)}:\n\n{table}")
    return "\n\n".join(texts)


def _description(command: App) -> str:
    """Return the help text of a command, without its arguments."""
    return inspect.cleandoc(command.help).partition("Parameters\n---")[0].strip()


def _arguments(command: App) -> tuple[list[str], list[Row]]:
    """Return the positional and required arguments for the usage, and name, default and meaning of all arguments."""
    collection = command.assemble_argument_collection(parse_docstring=True)
    arguments = [argument for argument in collection if argument.show]
    sections = any(len(argument.keys) > 1 for argument in arguments)
    needed, rows = [], []
    for argument in arguments:
        # Keys of the configuration have their own page.
        if argument.keys and sections:
            continue
        name, default = argument.names[0], argument.field_info.default
        if not argument.keys and argument.field_info.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            name = name.removeprefix("--").upper()
            needed.append(name if argument.required else f"[{name}]")
        elif argument.required:
            needed.append(f"{name} ...")
        display = "required" if argument.required else "" if default in (None, False) else f"`{default}`"
        rows.append((f"`{name}`", display, " ".join((argument.parameter.help or "").split())))
    if sections:
        rows.append(("`--...`", "", "Every key of the [configuration](configuration.md)."))
    return needed, rows


def _argument_table(commands: Sequence[Sequence[Row]]) -> str:
    """Return a table of the arguments that commands share; defaults that differ are not listed."""
    rows = (
        (name, default if all(row[1] == default for row in others) else "depends on the command", meaning)
        for (name, default, meaning), *others in zip(*commands, strict=True)
    )
    return _table(("argument", "default", "meaning"), rows)


def _keys(kind: Any, names: Iterable[str], *, prefix: str = "") -> str:
    rows = []
    for name in names:
        info = kind.model_fields[name]
        default = (
            "required" if info.is_required() else f"`{_plain(info.get_default(call_default_factory=True))}`"
        )
        rows.append((f"`{prefix}{name}`", default, " ".join((info.description or "").split())))
    return _table(("key", "default", "meaning"), rows)


def _plain(value: Any) -> str:
    """Format a default as YAML."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return "[" + ", ".join(map(_plain, value)) + "]" if isinstance(value, tuple) else str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [[*head]]
    lines += [["---"] * len(lines[0]), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


_TABLES: dict[str, Callable[[Any], str]] = {
    "section": section_table,
    "components": component_sections,
    "presets": preset_table,
    "commands": command_sections,
}
