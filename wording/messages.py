"""Messages of the program: texts of errors, warnings, findings, notes and help, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

from wording.text import Text

_DISPLAYING = {
    "warn",
    "warning",
    "ok",
    "error",
    "print",
    "info",
    "debug",
    "Column",
    "Parameter",
    "App",
    "Text",
    "closest",
}


def read_messages(path: Path) -> Iterator[Text]:
    """Yield the messages of a Python file: texts that it raises, warns, prints, or passes to a displaying function.

    Values in a formatted message are replaced with their source in braces.

    Args:
        path: The file.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from _arguments(path, node.exc)
        elif isinstance(node, ast.Call) and _name(node.func) in _DISPLAYING:
            yield from _arguments(path, node)
        elif isinstance(node, ast.Yield | ast.Return) and node.value is not None and _is_text(node.value):
            yield from _message(path, node.value)


def _arguments(path: Path, call: ast.Call) -> Iterator[Text]:
    for value in (*call.args, *(keyword.value for keyword in call.keywords)):
        if _is_text(value):
            yield from _message(path, value)


def _message(path: Path, value: ast.expr) -> Iterator[Text]:
    words = "".join(_parts(value))
    # One word is a name; a message has several.
    if len(words.split()) > 2:
        yield Text(path, value.lineno, "string", words)


def _is_text(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp):
        return _is_text(value.left) or _is_text(value.right)
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


def _parts(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.JoinedStr):
        for part in value.values:
            yield from _parts(part)
    elif isinstance(value, ast.Constant):
        yield str(value.value)
    elif isinstance(value, ast.BinOp):
        yield from _parts(value.left)
        yield from _parts(value.right)
    elif isinstance(value, ast.FormattedValue):
        yield f"{{{ast.unparse(value.value)}}}"
    else:
        yield f"{{{ast.unparse(value)}}}"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
