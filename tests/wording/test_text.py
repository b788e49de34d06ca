from pathlib import Path

from wording.text import read_texts

SOURCE = '''"""A module."""

# Why it is so.
LIMIT = 3
"""The limit."""


def test_of_the_limit(bound: int) -> str:
    found = f"at most {bound} of them"
    return found
'''


def kinds(path: Path) -> set[tuple[str, int, str]]:
    return {(text.kind, text.line, text.words) for text in read_texts(path)}


def test_every_text_of_a_module_is_read(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert kinds(path) == {
        ("docstring", 1, "A module."),
        ("comment", 3, "Why it is so."),
        ("name", 4, "LIMIT"),
        ("docstring", 5, "The limit."),
        ("test", 8, "test of the limit"),
        ("name", 8, "bound"),
        ("string", 9, "at most "),
        ("string", 9, " of them"),
        ("name", 9, "found"),
    }


def test_paragraphs_of_a_page_are_read_without_its_code(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("# Title\n\nOne\ntwo.\n\n```sh\nrun it\n```\n\n    code\n\nLast.\n", encoding="utf-8")
    assert kinds(path) == {
        ("paragraph", 1, "# Title"),
        ("paragraph", 3, "One\ntwo."),
        ("paragraph", 12, "Last."),
    }
