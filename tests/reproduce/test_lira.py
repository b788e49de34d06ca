import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from palimpsest.errors import ConfigurationError

module: Any = importlib.import_module("palimpsest.reproduce.lira")
TINY = {
    "data": {"name": "digits", "image_size": None, "train_size": 60, "auxiliary_size": 20},
    "model": {"width": 16},
    "federation": {"local_epochs": 30, "learning_rate": 0.05},
}


def test_networks_that_memorize_are_found_and_lira_agrees_with_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MODELS", 8)
    table = module.lira_study(out=tmp_path, overrides=TINY, command="the command")
    assert table.train > table.test
    assert table.difference < 1e-9
    areas = {row.test: row.auc for row in table.rows}
    assert areas["LiRA, global variance"].mean > 0.55
    assert areas["Yeom"].low <= areas["Yeom"].mean <= areas["Yeom"].high
    page = (tmp_path / "lira.md").read_text()
    assert "    the command\n" in page
    assert module.PUBLISHED in page
    cells = json.loads((tmp_path / "lira.json").read_text())["cells"]
    assert [cell["test"] for cell in cells] == list(areas)
    monkeypatch.setattr(module, "train", None)
    again = module.lira_study(out=tmp_path, overrides=TINY, command="the command")
    assert again == table


@pytest.mark.parametrize("choice", [{"cells": ["a"]}, {"seeds": (1, 2)}])
def test_the_table_has_no_cells_and_one_seed(tmp_path: Path, choice: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="name one seed"):
        module.lira_study(out=tmp_path, **choice)
