import shlex
import sys

import pytest
from tests.support.command_line import outcome

from palimpsest.cli.options import command_line
from palimpsest.progress.trackers import tracker_names


def test_command_line_is_quoted_for_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/palimpsest", "audit", "--out", "my run", "--seed", "3"])
    assert command_line() == "palimpsest audit --out 'my run' --seed 3"
    assert shlex.split(command_line())[1:] == sys.argv[1:]


def test_help_names_the_trackers(capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = outcome(capsys, "audit", "--help-all")
    for name in tracker_names():
        assert name in output


@pytest.mark.parametrize("flag", ["--no-quiet", "--no-json", "--no-debug", "--no-replace"])
def test_switches_that_are_off_by_default_have_no_negative(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = outcome(capsys, "audit", "no such preset", flag)
    assert code == 2
    assert flag in error
