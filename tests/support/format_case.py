"""A file format as users call it, with what happens to it: for tests and for the table in the docs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FormatCase:
    """One file format.

    Args:
        title: The format as users call it, in Markdown.
        write: Writes such files into an empty folder, and returns the path to give to the program.
        note: Part of what the program reports when it reads the file; if empty, it reports nothing.
        refusal: Part of the error with which the program refuses the file; if empty, it is read.
        setting: The setting that the case is read with, in Markdown; if empty, there is none.
    """

    title: str
    write: Callable[[Path], Path]
    note: str = ""
    refusal: str = ""
    setting: str = ""

    def __str__(self) -> str:
        """Return the title, which names the case in the list of tests."""
        return " ".join(filter(None, (self.title, self.setting))).replace("`", "")

    @property
    def outcome(self) -> str:
        """The result of reading the file, in Markdown."""
        if self.refusal:
            return f"refused: “{self.refusal}”"
        return f"read; reported: “{self.note}”" if self.note else "read"
