import io

import pytest
from rich.console import Console
from tests.support.command_line import json_lines

from palimpsest.api.progress import reporting
from palimpsest.api.warning_lines import WarningLines
from palimpsest.progress import warn


def test_each_warning_is_one_line_and_commands_no_terminal() -> None:
    lines = WarningLines(Console(file=(file := io.StringIO()), soft_wrap=True))
    for message in ("3 files were skipped.", "[red]a\x1b[2J", "3 files were skipped."):
        lines.on_warning(message)
    assert file.getvalue() == "Warning 3 files were skipped.\nWarning [red]a\\x1b[2J\n"


def test_a_command_prints_warnings_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(owns_process=True):
        warn("keep them out")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Warning keep them out\n"


@pytest.mark.parametrize("keys", [{"quiet": True, "owns_process": True}, {}])
def test_nothing_is_printed_quietly_or_to_a_program(
    keys: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    with reporting(**keys):
        warn("keep them out")
    assert capsys.readouterr() == ("", "")


def test_a_machine_reads_warnings_as_events(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(machine=True, owns_process=True):
        warn("keep them out")
    assert json_lines(capsys) == [{"event": "warning", "message": "keep them out"}]
