import json
from pathlib import Path

import pytest
from tests.support.studies import tiny_config

from palimpsest.reproduce.forgetting import ForgettingRow, forgetting_table, markdown


def test_rows_of_the_original_of_retraining_and_of_each_method(tmp_path: Path) -> None:
    rows = forgetting_table(tiny_config("digits"), out=tmp_path, methods=("ascent",))
    assert [row.method for row in rows] == ["original", "retrain", "ascent"]
    original, retrained, ascent = rows
    assert (original.distance, original.seconds, original.relative_seconds) == (None, None, None)
    assert (retrained.distance, retrained.relative_seconds) == (0, 1)
    assert ascent.distance is not None
    assert ascent.distance > 0
    assert ascent.relative_seconds is not None
    assert ascent.relative_seconds == pytest.approx(ascent.seconds / retrained.seconds)
    for row in rows:
        for name, (low, high) in row.intervals.items():
            assert 0 <= low <= getattr(row, name) <= high <= 1, name
    assert [row["method"] for row in json.loads((tmp_path / "forgetting.json").read_text())] == [
        row.method for row in rows
    ]
    assert (tmp_path / "forgetting.md").read_text() == markdown(rows, classes=10)
    assert (tmp_path / "ascent" / "forgetting.safetensors").exists()


def test_unknown_values_are_empty_cells() -> None:
    row = ForgettingRow("original", 0.9, 0.8, 0.7, 0.5125, None, None, None, {"test": (0.65, 0.75)})
    table = markdown([row], classes=4)
    assert "| original | 90.0% | 80.0% | 70.0% (65.0% to 75.0%) | 0.512 |  |  |  |\n" in table
    assert "Chance: 25.0% for accuracies" in table
