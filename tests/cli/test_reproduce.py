from pathlib import Path

import pytest
from tests.support.command_line import outcome

from palimpsest.api.remake import Study, Table, catalog
from palimpsest.cli.reproduce import reproduce_commands


def test_runs_a_study_and_prints_its_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny = "--data.name digits --data.auxiliary-size 40 --model.width 4 --federation.clients 4"
    tiny += " --federation.fraction 1 --federation.rounds 1 --unlearning.count 10 --scoring.bootstrap 10"
    tiny += " --attack.epochs 1 --attack.width 8 --attack.beta 0 --attack.queries 1 --attack.components 8"
    command = [
        "reproduce",
        "igf-table2",
        "--out",
        str(tmp_path),
        "--cells",
        "none",
        "prune-0.*",
        *tiny.split(),
    ]
    code, out, err = outcome(capsys, *command, "--seeds", "1", "2")
    assert (code, err) == (0, "")
    for name in ("none", "prune-0.7", "prune-0.9"):
        assert f"| {name} |" in out
    assert "Seeds: 1, 2." in out
    assert "| sign |" not in out
    too_many = " ".join(command).replace("count 10", "count 100000").split()
    code, _, err = outcome(capsys, *too_many, "--seeds", "1")
    assert code == 2
    assert "4 of 4 cells could not be computed" in err


def test_suggests_a_name_for_an_unknown_cell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = outcome(
        capsys, "reproduce", "igf-table2", "--out", str(tmp_path / "out"), "--cells", "sing"
    )
    assert code == 2
    assert "did you mean 'sign'" in err


def test_every_table_has_a_command_with_its_title() -> None:
    commands, entries = reproduce_commands(), catalog()
    assert commands.keys() == entries.keys()
    for name, command in commands.items():
        doc, table = command.__doc__ or "", entries[name]
        assert doc.startswith(table.title)
        if isinstance(table, Study):
            assert table.source in doc.splitlines()[0]


def test_studies_take_cells_and_tables_a_preset() -> None:
    for name, command in reproduce_commands().items():
        names = command.__code__.co_varnames[
            : command.__code__.co_argcount + command.__code__.co_kwonlyargcount
        ]
        is_table = isinstance(catalog()[name], Table)
        assert ("preset" in names) == is_table
        assert ("cells" in names) == ("seeds" in names) == (not is_table)


def test_rejects_an_unknown_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = outcome(capsys, "reproduce", "igf-table22")
    assert code == 2
    assert "igf-table22" in error
