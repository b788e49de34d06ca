"""The command line, run in this process."""

import json
from typing import Any

import pytest

from palimpsest.cli import main


def run(*arguments: object) -> int:
    """The code that a command ends with."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def outcome(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The code that a command ends with, and what it writes to the standard output and to the standard error."""
    code = run(*arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a command wrote for machines, and nothing else."""
    captured = capsys.readouterr()
    assert captured.err == ""
    return [json.loads(line) for line in captured.out.splitlines()]
