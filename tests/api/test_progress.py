import json
from pathlib import Path

import pytest

import palimpsest as pp
from palimpsest.api.progress import reporting
from palimpsest.api.warning_lines import WarningLines
from palimpsest.progress import JsonLines, LogFile, Stage, Terminal, callbacks


def test_a_nested_context_uses_the_outer_one() -> None:
    with reporting(quiet=True, command="palimpsest audit") as outer, reporting(machine=True) as inner:
        assert inner is outer
    with reporting() as later:
        assert later.command == ""


def test_machine_output_is_json_lines_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with reporting(machine=True, owns_process=True) as active:
        assert [type(one) for one in callbacks()[1:]] == [JsonLines]
        active.console.print("for people")
        for callback in callbacks():
            callback.on_stage_end(Stage("train", 2.0))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["stage"] == "train"


def test_a_quiet_call_still_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(quiet=True, owns_process=True, log=tmp_path / "all.log") as active:
        assert [type(one) for one in callbacks()[1:]] == [LogFile]
        active.console.print("for people")
        for callback in callbacks():
            callback.on_stage_end(Stage("train", 2.0))
    assert capsys.readouterr().out == ""
    assert "train" in (tmp_path / "all.log").read_text()


def test_stages_are_printed_without_a_terminal_only_if_requested(capsys: pytest.CaptureFixture[str]) -> None:
    for owns_process, shown in ((False, ""), (True, "a stage\n")):
        with reporting(owns_process=owns_process) as active:
            assert [type(one) for one in callbacks()[1:]] == [
                Terminal,
                *([WarningLines] if owns_process else []),
            ]
            active.console.print("a stage")
        assert capsys.readouterr().out == shown


def test_an_error_leaves_no_active_context() -> None:
    before = callbacks()
    with pytest.raises(pp.PalimpsestError, match="no such tracker anywhere"):
        reporting(track=["no such tracker anywhere"], command="one").__enter__()
    assert callbacks() == before
    with reporting(command="two") as active:
        assert active.command == "two"
