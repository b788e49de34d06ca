import re
from pathlib import Path

import pytest

from palimpsest.cli import app, main
from palimpsest.config import preset_names, read_config


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(list(arguments))
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


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
def test_what_is_not_accepted_ends_with_code_2_and_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_refused_before_any_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run(capsys, "audit", "--out", str(folder), "--federation.fraction", "2")[0] == 2
    assert not folder.exists()


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "audit", "digts", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_a_bug_ends_with_code_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("palimpsest.cli.audit.run_audit", broken)
    code, _, err = run(capsys, "audit")
    assert code == 1
    assert "bug in palimpsest (ZeroDivisionError: by zero)" in err


def test_presets_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "presets")
    assert code == 0
    lines = out.splitlines()
    assert lines[::2] == preset_names()
    assert "  " + read_config("digits").description in out


COMMANDS = [name for name in app if not name.startswith("-") and app[name].default_command is not None]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_names_every_flag(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wide enough for no flag to be divided.
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    shown = set(re.findall(r"--[\w.-]+", out))
    flags = {name for one in app[command].assemble_argument_collection() if one.show for name in one.names}
    assert flags
    assert flags <= shown


def test_the_commands_are_those_of_the_documentation() -> None:
    wanted = {
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
    }
    assert wanted <= set(COMMANDS)
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


def test_a_study_is_made_and_its_table_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny = "--data.name digits --data.auxiliary-size 40 --model.width 4 --federation.clients 4"
    tiny += " --federation.fraction 1 --federation.rounds 1 --unlearning.count 10 --scoring.bootstrap 10"
    tiny += " --attack.epochs 1 --attack.width 8 --attack.beta 0 --attack.queries 1 --attack.components 8"
    command = [
        "reproduce",
        "igf-table2",
        "--out",
        str(tmp_path),
        "--cells",
        "none",
        "prune-0.*",
        *tiny.split(),
    ]
    code, out, err = run(capsys, *command, "--seeds", "1", "2")
    assert (code, err) == (0, "")
    for name in ("none", "prune-0.7", "prune-0.9"):
        assert f"| {name} |" in out
    assert "Seeds: 1, 2." in out
    assert "| sign |" not in out
    too_many = " ".join(command).replace("count 10", "count 100000").split()
    code, _, err = run(capsys, *too_many, "--seeds", "1")
    assert code == 2
    assert "4 of 4 cells could not be computed" in err


def test_an_unknown_cell_is_named_with_the_likely_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "reproduce", "igf-table2", "--out", str(tmp_path / "out"), "--cells", "sing")
    assert code == 2
    assert "did you mean 'sign'" in err
