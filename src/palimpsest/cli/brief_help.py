"""Brief help for commands with many flags, with one line per flag."""

import re
from collections.abc import Sequence
from typing import Any

from cyclopts.help import HelpEntry, HelpPanel
from rich.console import Console, ConsoleOptions
from rich.text import Text

from palimpsest.cli.contents import EVERYTHING
from palimpsest.display import escape_control_characters

REQUIRED = "[required]"
"""The end of the help text of a flag that must be given, unless a file gives its value."""

_MIN_WIDTH = 24
_MAX_CHOICES = 40
_MIN_TEXT = 14


class BriefHelp:
    """A help formatter for cyclopts that shortens each flag's text so that flag, text and default fit on one line."""

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the command's usage."""
        console.print(Text(f"Usage: {_plain(usage).removeprefix('Usage: ')}", style="bold"))
        console.print()

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print the command's description without trailing spaces."""
        with console.capture() as capture:
            console.print(description)
        for line in capture.get().splitlines():
            console.out(line.rstrip(), highlight=False)

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a panel: its title, its description and its flags."""
        if not panel.entries:
            return
        console.print(Text(escape_control_characters(str(panel.title)), style="bold"))
        description = _plain(panel.description)
        if description:
            console.print(Text(description, style="dim"))
        names = [_name(entry) for entry in panel.entries]
        left = min(max(map(len, names)), options.max_width - _MIN_WIDTH)
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
    """Return the beginning of an entry's text, its choices and its default, in at most `space` characters."""
    text, _, default = _plain(entry.description).partition(" [default: ")
    default = default.removesuffix("]") or str(entry.default or "")
    required = entry.required or text.endswith(REQUIRED)
    text = text.removesuffix(REQUIRED).rstrip()
    suffixes = []
    choices = "|".join(map(str, entry.choices or ()))
    if 0 < len(choices) <= _MAX_CHOICES:
        suffixes.append(choices)
    if required:
        suffixes.append(REQUIRED)
    elif default not in ("", "None", "False"):
        suffixes.append("[on]" if default == "True" else f"[{default}]")
    # Of choices and default, the first that fits is shown if both are too long.
    candidates = ["".join(f" {part}" for part in parts) for parts in (suffixes, suffixes[:1], suffixes[1:])]
    suffix = next((candidate for candidate in candidates if len(candidate) <= space - _MIN_TEXT), "")
    return f"{_beginning(text, space - len(suffix))}{suffix}"


def _beginning(text: str, space: int) -> str:
    """Cut a text to `space` characters, if possible at the end of a sentence or before a parenthesis."""
    text = text.removesuffix(".")
    ends = [match.start() for match in re.finditer(r"\. (?=[A-Z(])|; | \((?!\))", text)]
    fitting = [
        end for end in (*ends, len(text)) if end <= space and text[:end].count("(") == text[:end].count(")")
    ]
    if fitting:
        return text[: fitting[0] if fitting[-1] != len(text) else len(text)]
    return text[: space - 1].rsplit(" ", 1)[0].rstrip(",:;(") + "…"


def _plain(text: Any) -> str:
    """Return the text of any renderable that cyclopts passes, on one line."""
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
    """Return whether a command line asks for the complete help.

    Args:
        arguments: The command line.
    """
    return EVERYTHING in arguments
