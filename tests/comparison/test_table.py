import csv
import io
import json
from dataclasses import replace
from pathlib import Path

from tests.support.run_folders import run_folder

from palimpsest.comparison import as_csv, as_json, as_markdown, read_run, run_names, varying_keys


def test_run_names_are_the_distinguishing_part_of_the_path(runs: list[Path]) -> None:
    compared = [read_run(folder) for folder in runs]
    assert run_names(compared) == ["a", "b"]
    assert varying_keys(compared) == ["defenses"]


def test_small_errors_use_scientific_notation(runs: list[Path]) -> None:
    run = replace(read_run(runs[0]), values={"mse": 1.21e-11}, intervals={"mse": (4.9e-12, 2.3e-11)})
    assert "| 1.2e-11 (4.9e-12 to 2.3e-11) |" in as_markdown([run])


def test_table_has_the_differing_settings(runs: list[Path]) -> None:
    compared = [read_run(folder) for folder in runs]
    table = as_markdown(compared).splitlines()
    assert table[0].startswith("| run | verdict | defenses | MSE |")
    assert "0.0200 (0.0100 to 0.0300)" in table[2]
    assert "60.0% (50.0% to 70.0%; chance 10.0%)" in table[2]
    assert "50.0% (chance 10.0%)" in table[2]
    assert "LPIPS" not in table[0]
    rows = list(csv.DictReader(io.StringIO(as_csv(compared))))
    assert rows[1]["defenses"] == "prune (ratio 0.5)"
    assert (rows[0]["mse"], rows[0]["mse_low"], rows[0]["lpips"]) == ("0.02", "0.01", "")
    tree = as_json(compared)
    assert json.loads(json.dumps(tree)) == tree


def test_escapes_control_characters_and_bars(tmp_path: Path) -> None:
    hostile = run_folder(tmp_path / "a\x1b[2J|b", seed=1, data={"name": "x\x1b]0;|y"})
    table = as_markdown([read_run(hostile), read_run(run_folder(tmp_path / "c"))])
    assert "\x1b" not in table
    assert r"a\x1b[2J\|b" in table
    assert r"x\x1b]0;\|y" in table
