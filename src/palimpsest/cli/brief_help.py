"""Help of commands with many flags: a line for each flag."""

import re
from collections.abc import Sequence
from typing import Any

from cyclopts.help import HelpEntry, HelpPanel
from rich.console import Console, ConsoleOptions
from rich.text import Text

from palimpsest.display import escape_control_characters

EVERYTHING = "--help-all"
"""The flag that shows every flag, those of all components too, with its whole text."""

_NARROWEST = 24
_MOST_CHOICES = 26
_SHORTEST_TEXT = 14


class BriefHelp:
    """A help formatter of cyclopts that cuts each flag's text so that flag, text and default fit in one line."""

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print how the command is called."""
        console.print(Text(f"Usage: {_plain(usage).removeprefix('Usage: ')}", style="bold"))
        console.print()

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what the command does, without the blanks that fill its lines."""
        with console.capture() as capture:
            console.print(description)
        for line in capture.get().splitlines():
            console.out(line.rstrip(), highlight=False)

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a panel: its title, what it is, and its flags."""
        if not panel.entries:
            return
        console.print(Text(escape_control_characters(str(panel.title)), style="bold"))
        about = _plain(panel.description)
        if about:
            console.print(Text(about, style="dim"))
        names = [_name(entry) for entry in panel.entries]
        left = min(max(map(len, names)), options.max_width - _NARROWEST)
        for name, entry in zip(names, panel.entries, strict=True):
            line = Text(f"  {name:<{left}}  ", style="cyan")
            line.append(_one_line(entry, options.max_width - max(left, len(name)) - 4), style="default")
            console.print(line, soft_wrap=True)
        console.print()


def _name(entry: HelpEntry) -> str:
    return escape_control_characters(
        str(entry.positional_label or "") or next(iter((*entry.positive_names, *entry.names)), "")
    )


def _one_line(entry: HelpEntry, space: int) -> str:
    """The beginning of an entry's text, its choices and its default, in so many characters."""
    text, _, default = _plain(entry.description).partition(" [default: ")
    default = default.removesuffix("]") or str(entry.default or "")
    facts = []
    choices = "|".join(map(str, entry.choices or ()))
    if 0 < len(choices) <= _MOST_CHOICES:
        facts.append(choices)
    if entry.required:
        facts.append("[required]")
    elif default not in ("", "None", "False"):
        facts.append("[on]" if default == "True" else f"[{default}]")
    behind = " ".join(["", *facts])
    if len(behind) > space - _SHORTEST_TEXT:
        behind = ""
    return f"{_beginning(text, space - len(behind))}{behind}"


def _beginning(text: str, space: int) -> str:
    """As much of a text as fits: to the end of a sentence or to a parenthesis if it does, or to the end of a word."""
    text = text.removesuffix(".")
    ends = [match.start() for match in re.finditer(r"\. (?=[A-Z(])|; | \((?!\))", text)]
    whole = [
        end for end in (*ends, len(text)) if end <= space and text[:end].count("(") == text[:end].count(")")
    ]
    if whole:
        return text[: whole[0] if whole[-1] != len(text) else len(text)]
    return text[: space - 1].rsplit(" ", 1)[0].rstrip(",:;(") + "…"


def _plain(text: Any) -> str:
    """The text of whatever cyclopts hands over, on one line."""
    if text is None:
        return ""
    if isinstance(text, Text | str):
        return escape_control_characters(" ".join(str(text).split()))
    console = Console(
        width=100_000, no_color=True, force_terminal=False, highlight=False, markup=False, emoji=False
    )
    with console.capture() as capture:
        console.print(text, end="")
    return escape_control_characters(" ".join(capture.get().split()))


def wants_everything(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for the whole help."""
    return EVERYTHING in arguments
