import json
from pathlib import Path

import palimpsest as pp


def test_notebooks_display_the_table(tmp_path: Path) -> None:
    cells = [{"name": "one", "scores": {"mse": {"mean": 0.5}}}, {"name": "two", "scores": {}}]
    (tmp_path / "mine.json").write_text(json.dumps({"cells": cells}))
    (tmp_path / "mine.md").write_text("| a |\n")
    table = pp.Reproduction("mine", tmp_path)
    assert table._repr_markdown_() == "| a |\n"
    assert table.to_frame()["scores.mse.mean"].tolist()[0] == 0.5


def test_nested_keys_of_a_list_become_dotted_columns(tmp_path: Path) -> None:
    cells = [{"a": {"b": {"c": 1}, "d": [1, 2]}}, {"e": "x"}]
    (tmp_path / "mine.json").write_text(json.dumps(cells))
    table = pp.Reproduction("mine", tmp_path)
    assert table.to_json() == cells
    frame = table.to_frame()
    assert frame.columns.tolist() == ["a.b.c", "a.d", "e"]
    assert frame["a.d"].tolist()[0] == [1, 2]
