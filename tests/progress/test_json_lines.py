import io
import json
import math

import pytest

from palimpsest.progress import JsonLines, Stage, finite, in_stage, progress_line, with_callbacks
from palimpsest.progress import json_lines as machine


def test_every_line_is_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_EVERY", 0)
    file = io.StringIO()
    with with_callbacks(lines := JsonLines(file)), in_stage("inverter"):
        with progress_line("train inverter", 2) as line:
            line.advance(values={"loss": math.nan})
        lines.on_stage_end(Stage("inverter", 2.0, 2**21, kept=False))
    progress, stage = map(json.loads, file.getvalue().splitlines())
    assert progress["event"] == "progress"
    assert (progress["stage"], progress["done"], progress["total"]) == ("inverter", 1, 2)
    assert progress["values"] == {"loss": None}
    assert progress["rate"] > 0
    # One of two steps is done, so the other takes equally long.
    assert progress["seconds_left"] == pytest.approx(1 / progress["rate"], rel=0.1, abs=1e-2)
    assert stage == {
        "event": "stage",
        "stage": "inverter",
        "seconds": 2.0,
        "kept": False,
        "peak_memory_mib": 2,
    }


def test_nan_and_infinity_become_null() -> None:
    assert finite({"a": [math.inf, 1, "x", (2.0, -math.inf)]}) == {"a": [None, 1, "x", [2.0, None]]}
