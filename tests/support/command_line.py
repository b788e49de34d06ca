"""Run the command line in this process."""

import json
from typing import Any

import pytest

from palimpsest.cli import main


def run(*arguments: object) -> int:
    """Run a command and return its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def outcome(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command and return its exit code, standard output and standard error."""
    code = run(*arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Parse the JSON lines that a command printed, and assert that it printed nothing else."""
    captured = capsys.readouterr()
    assert captured.err == ""
    return [json.loads(line) for line in captured.out.splitlines()]
