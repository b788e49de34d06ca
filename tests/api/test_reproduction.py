import json
from pathlib import Path

import palimpsest as pp


def test_a_reproduced_table_shows_itself(tmp_path: Path) -> None:
    cells = [{"name": "one", "scores": {"mse": {"mean": 0.5}}}, {"name": "two", "scores": {}}]
    (tmp_path / "some.json").write_text(json.dumps({"cells": cells}))
    (tmp_path / "some.md").write_text("| a |\n")
    table = pp.Reproduction("some", tmp_path)
    assert table._repr_markdown_() == "| a |\n"
    assert table.to_frame()["scores.mse.mean"].tolist()[0] == 0.5


def test_a_table_that_is_a_list_has_a_row_for_each_entry_and_nested_keys_are_joined(tmp_path: Path) -> None:
    cells = [{"a": {"b": {"c": 1}, "d": [1, 2]}}, {"e": "x"}]
    (tmp_path / "some.json").write_text(json.dumps(cells))
    table = pp.Reproduction("some", tmp_path)
    assert table.to_json() == cells
    frame = table.to_frame()
    assert frame.columns.tolist() == ["a.b.c", "a.d", "e"]
    assert frame["a.d"].tolist()[0] == [1, 2]
