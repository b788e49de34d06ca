import re
from pathlib import Path

import pytest

from palimpsest.errors import RunError
from palimpsest.metrics import Metrics
from palimpsest.progress import LogFile, Stage, in_stage, progress_line, with_callbacks

METRICS = Metrics.model_validate(
    {
        "attack": {},
        "seconds": {},
        "reconstruction": {"mse": 0.015, "count": 4, "identification_top1": 0.5, "identification_top5": 1.0},
    }
)


def test_logs_stages_and_slow_work_with_the_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.txt"
    for _ in range(2):
        with with_callbacks(log := LogFile(path, every=0)), in_stage("original"):
            log.on_run_start(tmp_path, {})
            with progress_line("train", 3) as line:
                line.advance(values={"loss": 0.5})
            log.on_stage_end(Stage("original", 1.25, 2**30))
            log.on_metrics(METRICS)
    lines = path.read_text().splitlines()
    assert len(lines) == 8
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]", line) for line in lines)
    assert "original" in lines[1]
    assert re.search(r"train 1/3, [\d,.]+/s, \d:\d\d:\d\d left, loss 0.5$", lines[1])
    assert lines[2].endswith("1.2 s, peak 1.0 GiB")
    assert lines[3].endswith("finished: MSE 0.015")
    assert path.stat().st_mode & 0o077 == 0


def test_does_not_log_quick_work(tmp_path: Path) -> None:
    with with_callbacks(LogFile(tmp_path / "log.txt")), progress_line("train", 3) as line:
        line.advance()
    assert (tmp_path / "log.txt").read_text() == ""


def test_rejects_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="Choose another file"):
        LogFile(tmp_path / "file" / "log.txt")


def test_full_disk_does_not_stop_the_run() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("This system has no /dev/full")
    with with_callbacks(log := LogFile(full)):
        log.on_stage_end(Stage("original", 1.0))
