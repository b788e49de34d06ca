"""The records of the logger `palimpsest`, and that nothing is printed without a handler."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from palimpsest.cli import main
from palimpsest.config import AuditConfig
from palimpsest.progress import ProgressLine, Stage, callbacks, progress_line, warn, with_callbacks
from palimpsest.progress.callback import Callback
from palimpsest.progress.log_records import LogRecords
from palimpsest.progress.trackers.tracker import Tracker
from palimpsest.runs import Run


@pytest.fixture(autouse=True)
def default_level(caplog: pytest.LogCaptureFixture) -> None:
    """Libraries that earlier tests import may have lowered the root logger's level."""
    caplog.set_level(logging.WARNING, logger="palimpsest")


def records(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(level, text) for name, level, text in caplog.record_tuples if name == "palimpsest"]


def test_logger_is_always_active() -> None:
    with with_callbacks(Callback()):
        assert [type(callback) for callback in callbacks()] == [LogRecords, Callback]


def test_stages_are_info_and_warnings_are_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="palimpsest")
    for callback in callbacks():
        callback.on_stage_end(Stage("train", 2.0, 2**30))
    warn("keep them out")
    assert records(caplog) == [
        (logging.INFO, "train: 2.0 s, peak 1.0 GiB"),
        (logging.WARNING, "keep them out"),
    ]


def test_progress_is_logged_at_intervals(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="palimpsest")
    often, seldom = LogRecords(every=0), LogRecords(every=3600)
    line = ProgressLine("inverter", 3, stage="attack")
    for callback in (often, seldom):
        callback.on_start(line)
        for _ in range(3):
            line.advance()
            callback.on_step(line)
    assert len(records(caplog)) == 3
    level, text = records(caplog)[0]
    assert level == logging.DEBUG
    assert text.startswith("attack: inverter 1/3")


def test_progress_is_not_logged_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="palimpsest")
    with progress_line("inverter", 1) as line:
        line.advance()
    LogRecords(every=0).on_step(ProgressLine("inverter", 1))
    assert records(caplog) == []


def test_failing_tracker_is_a_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    def start(*_: object) -> None:
        raise OSError("no server")

    Tracker(start).on_run_start(tmp_path, {})
    ((level, text),) = records(caplog)
    assert level == logging.WARNING
    assert "OSError: no server" in text


def test_readable_folder_is_a_warning(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    Run.open(tmp_path / "run", AuditConfig(), console=Console(quiet=True)).close()
    found = records(caplog)
    assert [level for level, _ in found] == [logging.WARNING], found
    assert "can be read by other users" in found[0][1]


def test_failing_command_is_an_error(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "digts"])
    ((level, text),) = records(caplog)
    assert level == logging.ERROR
    assert "no preset 'digts'" in text
    assert capsys.readouterr().err.count("digts") == 1


def test_prints_nothing_without_a_handler() -> None:
    code = "from palimpsest.progress import LOGGER, warn; warn('quiet'); LOGGER.error('quiet')"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert (printed.stdout, printed.stderr) == ("", "")
    code = f"import logging; logging.basicConfig(level=logging.INFO); {code}"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert printed.stderr == "WARNING:palimpsest:quiet\nERROR:palimpsest:quiet\n"
