import contextlib
import functools
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.command_line import outcome, run
from tests.support.forked import ForkServer

from palimpsest.cli import app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "digts"], ["no preset 'digts'", "did you mean 'digits'"]),
        (["audit", "--federation.round", "5"], ["--federation.round", "--federation.rounds"]),
        (["audit", "--federation.rounds", "many"], ["federation.rounds is 'many'", "integer"]),
        (["audit", "--federation.rounds", "0"], ["federation.rounds is 0", "greater than 0"]),
        (["audit", "--attack.name", "ifg"], ["no attack 'ifg'", "did you mean 'igf'"]),
        (["audit", "--device", "tpu"], ["tpu", "cuda"]),
        (["audti"], ["audti"]),
    ],
)
def test_invalid_arguments_end_with_code_2_and_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    code, out, err = outcome(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = outcome(capsys, "audit", "digts", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_a_bug_ends_with_code_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("palimpsest.cli.audit.run_audit", broken)
    code, _, err = outcome(capsys, "audit")
    assert code == 1
    assert "bug in palimpsest (ZeroDivisionError: by zero)" in err


COMMANDS = [name for name in app if not name.startswith("-") and app[name].default_command is not None]


@pytest.fixture(scope="module")
def help_of() -> Callable[[str, str], str]:
    """Function that returns a command's help, in lines so long that no flag is split."""

    @functools.cache
    def print_help(command: str, flag: str) -> str:
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
            patch.setenv("COLUMNS", "300")
            assert run(command, flag) == 0
        return output.getvalue()

    return print_help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_names_every_flag(command: str, help_of: Callable[[str, str], str]) -> None:
    out = help_of(command, "--help-all")
    shown = set(re.findall(r"--[\w.-]+", out))
    flags = {name for one in app[command].assemble_argument_collection() if one.show for name in one.names}
    assert flags
    assert flags <= shown


def test_has_the_documented_commands_and_flags() -> None:
    wanted = [
        "audit",
        "attack",
        "prove",
        "defend",
        "verify",
        "doctor",
        "report",
        "runs",
        "compare",
        "sweep",
        "presets",
    ]
    assert set(wanted) <= set(COMMANDS)
    flags = {name for one in app["audit"].assemble_argument_collection() for name in one.names}
    assert flags >= {
        "--out",
        "--seed",
        "--device",
        "--data-dir",
        "--federation.rounds",
        "--attack.epochs",
        "--debug",
    }


@pytest.mark.parametrize(
    ("words", "count"), [(["presets"], 1), (["components", "--json"], 1), (["presets", "--json"], 0)]
)
def test_a_closed_pipe_ends_a_list_with_code_0(
    words: list[str], count: int, tmp_path: Path, forked: ForkServer
) -> None:
    """A reader may stop early, as head does."""
    read, write = os.pipe()
    with (tmp_path / "errors").open("wb") as errors:
        process = forked.start("-m", "palimpsest", *words, folder=tmp_path, stdout=write, stderr=errors)
    os.close(write)
    assert len(os.read(read, count)) == count
    os.close(read)
    assert process.wait() == 0
    assert (tmp_path / "errors").read_text() == ""


def test_an_interruption_says_that_the_same_command_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("palimpsest.cli.audit.run_audit", interrupted)
    code, _, err = outcome(capsys, "audit")
    assert code == 130
    assert "Run the same command again: it goes on after the last finished stage." in err


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["audit", "--attack", "igf"], "--attack.name"),
        (["audit", "--attack=igf"], "--attack.name"),
        (["attack", "--verification", "2"], "--verification.tau or --verification.quantile"),
        (["audit", "--federation", "fedavg"], "--federation.aggregation"),
    ],
)
def test_a_section_in_place_of_a_flag_is_explained(
    arguments: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = outcome(capsys, *arguments)
    assert code == 2
    assert f"use {flag}." in err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_undefined_value(command: str, help_of: Callable[[str, str], str]) -> None:
    for flag in ("--help", "--help-all"):
        out = help_of(command, flag)
        assert "Undefined" not in out
        assert "None]" not in out


def test_help_marks_required_flags_and_lists_choices(help_of: Callable[[str, str], str]) -> None:
    out = help_of("prove", "--help")
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["--samples"]]
    assert line.endswith("[required]")
    out = help_of("audit", "--help-all")
    assert "Choices: cocktail-party, direct-difference, dlg" in out
    out = help_of("audit", "--help")
    assert "in-process|flower-simulation" in out


def test_installs_shell_completion(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "--install-completion", "--help")
    assert code == 0
    assert "--shell" in out
