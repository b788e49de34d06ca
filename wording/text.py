"""Texts of a source file or a page: comments, docstrings, messages, paragraphs and names, each with its line."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["docstring", "comment", "string", "paragraph", "name", "test"]

_FENCE = re.compile(r"^\s*(```|~~~)")


@dataclass(frozen=True)
class Text:
    """Text in a file.

    Args:
        path: The file.
        line: First line of the text, counted from 1.
        kind: Kind of text; `test` is the name of a test, with blanks for underscores.
        words: The text.
    """

    path: Path
    line: int
    kind: Kind
    words: str


def read_texts(path: Path) -> Iterator[Text]:
    """Yield all texts of a file.

    Args:
        path: A Python file, or a page or template whose paragraphs are separated by blank lines.
    """
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from _paragraphs(path, source)
        return
    tree = ast.parse(source)
    docstrings = {id(node) for node in _docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            kind: Kind = "docstring" if id(node) in docstrings else "string"
            yield Text(path, node.lineno, kind, node.value)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower().startswith("test"):
            yield Text(path, node.lineno, "test", node.name.replace("_", " "))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield Text(path, node.lineno, "name", node.id)
        elif isinstance(node, ast.arg):
            yield Text(path, node.lineno, "name", node.arg)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(path, token.start[0], "comment", token.string.lstrip("# "))


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield docstrings of modules, classes and functions, and those below attributes."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield statement.value


def _paragraphs(path: Path, source: str) -> Iterator[Text]:
    first, lines, fenced = 1, list[str](), False
    for number, line in enumerate([*source.splitlines(), ""], start=1):
        fenced ^= _FENCE.match(line) is not None
        if line.strip() and not fenced and not _FENCE.match(line) and not line.startswith("    "):
            first = first if lines else number
            lines.append(line)
        elif lines:
            yield Text(path, first, "paragraph", "\n".join(lines))
            lines = []
