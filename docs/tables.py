"""A hook of mkdocs: tables that are read off the program, where a page says `<!-- table: what -->`."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from palimpsest import registry
from palimpsest.case.config import CaseConfig, OracleConfig
from palimpsest.config import AuditConfig, EngineConfig, Section, preset_names, read_config

_MARK = re.compile(r"<!-- table: (?P<what>[a-z]+)(?: (?P<which>[a-z]+))? -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls with each page: put the tables in."""
    return _MARK.sub(lambda mark: _TABLES[mark["what"]](mark["which"]), markdown)


def section_table(name: str) -> str:
    """The keys of one part of the configuration.

    Args:
        name: A field of `AuditConfig`, or `case`, or `audit` for the keys of no section; `oracle` is the case's, which
            has more keys than the audit's, `engine`.
    """
    if name in ("audit", "case"):
        kind: Any = AuditConfig if name == "audit" else CaseConfig
        keys = [key for key, info in kind.model_fields.items() if not _is_section(info.annotation)]
        return _keys(kind, keys)
    if name == "oracle":
        return _keys(OracleConfig, OracleConfig.model_fields)
    if name == "engine":
        return _keys(EngineConfig, EngineConfig.model_fields, prefix="oracle.")
    section: Any = AuditConfig.model_fields[name].annotation
    return _keys(section, section.model_fields, prefix=f"{name}.")


def component_sections(name: str) -> str:
    """A heading, a summary, the source and the settings of each component of a registry, such as `attacks`."""
    texts = []
    for title, component in getattr(registry, name.upper()):
        summary = inspect.getdoc(component) or ""
        source = f"\n\nSource: {component.source}." if component.source else ""
        settings = _keys(component, component.model_fields) if component.model_fields else "No settings."
        texts.append(f"### `{title}`\n\n{summary}{source}\n\n{settings}")
    return "\n\n".join(texts)


def preset_table(_: str | None) -> str:
    """Every preset with its description and the paper's row."""
    configs = [(name, read_config(name)) for name in preset_names()]
    return _table(
        ("preset", "what it does", "paper"),
        ((f"`{name}`", config.description, config.paper) for name, config in configs),
    )


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
    """A default as YAML has it."""
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
}
