import importlib
import inspect

import pytest

from palimpsest.config import read_config
from palimpsest.reproduce import STUDIES, Study
from palimpsest.reproduce.catalog import TABLES


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())
def test_every_cell_is_a_valid_and_distinct_audit(study: Study) -> None:
    cells = study.cells()
    assert len({cell.name for cell in cells}) == len(cells) > 1
    configs = [cell.config({}, seed=1) for cell in cells]
    settings = [config.model_dump_json(exclude={"description", "paper"}) for config in configs]
    # The FedAvg preset equals the default, and only one of the two may be a cell.
    assert len(set(settings)) == len(cells)
    if study.picture == "curve":
        for series in {cell.series for cell in cells}:
            places = [cell.position or 0 for cell in cells if cell.series == series]
            assert places == sorted(set(places))


def test_command_names_are_unique() -> None:
    assert not set(STUDIES) & set(TABLES)
    assert all(study.name == name for name, study in STUDIES.items())


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_table_function_accepts_the_commands_arguments(table) -> None:
    function = getattr(importlib.import_module(table.module), table.function)
    parameters = list(inspect.signature(function).parameters)
    assert parameters[0] == "config"
    assert {"out", "data_dir", "console"} <= set(parameters[1:])
    assert read_config(table.preset)


def test_a_table_is_made_by_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    table = TABLES["labels"]
    monkeypatch.setattr(
        importlib.import_module(table.module),
        table.function,
        lambda *args, **settings: calls.append((args, settings)),
    )
    table.make("config", out="folder")
    assert calls == [(("config",), {"out": "folder"})]
