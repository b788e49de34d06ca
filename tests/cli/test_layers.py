"""The command line imports nothing below the API."""

import ast
from pathlib import Path

import pytest

import palimpsest.cli

FILES = sorted(Path(palimpsest.cli.__file__ or "").parent.glob("*.py"))
BELOW_THE_API = {"pipeline", "artifacts", "comparison", "reproduce", "doctor", "report", "runs"}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_commands_import_nothing_below_the_api(file: Path) -> None:
    modules = [
        node.module
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    rooms = {module.split(".")[1] for module in modules if module.startswith("palimpsest.")}
    assert not rooms & BELOW_THE_API
