"""Refused phrases: their places, and what to write instead."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wording.text import Text

_TABLE = Path(__file__).with_name("phrases.toml")
_CODE = re.compile(r"`[^`\n]*`|<[^<>\n]*>")


@dataclass(frozen=True)
class Found:
    """Refused phrase in a text.

    Args:
        text: The text.
        line: Line of the phrase in its file.
        phrase: The phrase as it was found.
        instead: What to write instead.
    """

    text: Text
    line: int
    phrase: str
    instead: str

    def __str__(self) -> str:
        """Format the finding as a line of the check's output."""
        return f"{self.text.path}:{self.line}: {self.phrase!r} in a {self.text.kind}: write {self.instead}"


class Phrases:
    """The refused phrases of phrases.toml."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Compile the phrases.

        Args:
            tables: `phrases`, `openings` and `names`, as in phrases.toml; None reads phrases.toml.
        """
        tables = tomllib.loads(_TABLE.read_text(encoding="utf-8")) if tables is None else tables
        self._phrases = _compiled(tables["phrases"], r"(?<![\w-])(?:{})(?![\w-])")
        self._openings = _compiled(tables["openings"], r"\A\s*(?:{})\b(?![:`])")
        self._names = _compiled(tables["names"], r"\A(?:{})\Z")

    def search(self, texts: Iterable[Text]) -> Iterator[Found]:
        """Yield refused phrases, except in quoted code and HTML tags.

        Args:
            texts: The texts to search.
        """
        for text in texts:
            if text.kind == "name":
                yield from _search(text, text.words, self._names)
                continue
            words = _CODE.sub(lambda code: " " * len(code[0]), text.words)
            yield from _search(text, words, self._phrases)
            if text.kind == "docstring":
                yield from _search(text, words, self._openings)


def _compiled(table: Mapping[str, str], form: str) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(form.format(phrase), re.IGNORECASE), instead) for phrase, instead in table.items()]


def _search(text: Text, words: str, phrases: list[tuple[re.Pattern[str], str]]) -> Iterator[Found]:
    # A phrase may span two lines; replacing the line break with a blank keeps all positions.
    flat = words.replace("\n", " ")
    for pattern, instead in phrases:
        for match in pattern.finditer(
            re.sub(r" {2,}", lambda gap: gap[0][:1] + "\0" * (len(gap[0]) - 1), flat)
        ):
            yield Found(
                text, text.line + words[: match.start()].count("\n"), match[0].replace("\0", ""), instead
            )
