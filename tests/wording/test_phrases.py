from pathlib import Path

import pytest
from wording.phrases import Phrases
from wording.text import Kind, Text


def refused(words: str, kind: Kind = "comment") -> list[tuple[str, int]]:
    return [(found.phrase, found.line) for found in Phrases().search([Text(Path("file.py"), 7, kind, words)])]


@pytest.mark.parametrize(
    ("words", "kind", "found"),
    [
        ("The images were told\napart.", "comment", [("told apart", 7), ("told", 7)]),
        ("One line,\nand none for all.", "docstring", [("none for", 8)]),
        ("See `told` and <b told>.", "paragraph", []),
        ("What the vectors lose.", "docstring", [("What", 7)]),
        ("What the vectors lose.", "comment", []),
        ("Whatever the vectors lose.", "docstring", []),
        ("The toldo and the retold story.", "comment", []),
        ("some", "name", [("some", 7)]),
        ("some_images", "name", []),
        ("test nobody is asked", "test", [("nobody", 7)]),
    ],
)
def test_phrases_are_refused_as_whole_words_outside_of_code(
    words: str, kind: Kind, found: list[tuple[str, int]]
) -> None:
    assert refused(words, kind) == found
