"""`palimpsest reproduce`: a command for each published table and figure."""

import inspect
from pathlib import Path
from typing import Annotated

from cyclopts import App
from rich.console import Console

from palimpsest.api.progress import watched
from palimpsest.api.reproduction import Reproduction
from palimpsest.cli.options import SEVERAL, DataDir, Debug, Json, Log, Overriding, Quiet, Track, command_line
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys
from palimpsest.config import read_config
from palimpsest.errors import ReproductionError
from palimpsest.reproduce.catalog import STUDIES, TABLES, Table
from palimpsest.reproduce.study import Study

app = App(
    name="reproduce", help="Make a published table or figure again; finished cells are not computed twice."
)


def _print(table: Reproduction, *, quiet: bool, machine: bool) -> None:
    if machine:
        print_json(folder=str(table.folder), table=table.to_json())
    elif not quiet:
        Console(soft_wrap=True).print(f"\n{table.to_markdown()}", highlight=False, markup=False)


def _add_table(name: str, table: Table) -> None:
    """The command `palimpsest reproduce <table>`."""

    def command(
        preset: str = table.preset,
        *,
        out: Path | None = None,
        data_dir: DataDir = None,
        quiet: Quiet = False,
        machine: Json = False,
        log: Log = None,
        track: Track = None,
        debug: Debug = False,
        overrides: Overriding = None,
    ) -> None:
        """Run what it needs and write the table; what is finished is not computed twice.

        Parameters
        ----------
        preset
            Data, model, federation and what is forgotten; see `palimpsest audit`.
        out
            The folder of the table and of its runs; by default it is under runs/.
        """
        folder = out or Path("runs") / name
        with watched(quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True) as console:
            table.make(
                read_config(preset, given_keys(overrides)), out=folder, data_dir=data_dir, console=console
            )
        _print(Reproduction(name, folder), quiet=quiet, machine=machine)

    command.__doc__ = f"{table.title}.\n\n{inspect.cleandoc(command.__doc__ or '')}"
    app.command(command, name=name)


def _add_study(study: Study) -> None:
    """The command `palimpsest reproduce <study>`."""

    def command(
        *,
        out: Path | None = None,
        data_dir: DataDir = None,
        cells: Annotated[list[str] | None, SEVERAL] = None,
        seeds: Annotated[list[int] | None, SEVERAL] = None,
        quiet: Quiet = False,
        machine: Json = False,
        log: Log = None,
        track: Track = None,
        debug: Debug = False,
        overrides: Overriding = None,
    ) -> None:
        """Run the cells and write the table and its picture; a cell that is finished is not computed twice.

        Parameters
        ----------
        out
            The folder of the table and of each cell's runs; by default it is under runs/.
        cells
            Only cells of these names, in which * stands for anything.
        seeds
            The seeds of the repeats, in place of --seed; with more than one, means and their intervals are told.
        """
        from palimpsest.reproduce import reproduce as run_study

        folder, asked = out or Path("runs") / study.name, given_keys(overrides)
        with watched(quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True) as console:
            summaries = run_study(
                study,
                out=folder,
                cells=cells or (),
                seeds=seeds or (asked.get("seed", 1234),),
                overrides=asked,
                data_dir=data_dir,
                console=console,
                command=command_line(),
            )
        _print(Reproduction(study.name, folder), quiet=quiet, machine=machine)
        failed = [summary for summary in summaries if summary.failure]
        if failed:
            raise ReproductionError(
                f"{len(failed)} of {len(summaries)} cells could not be computed, the first one, {failed[0].cell.name}, "
                f"because: {failed[0].failure}"
            )

    command.__doc__ = f"{study.title} ({study.source}).\n\n{inspect.cleandoc(command.__doc__ or '')}"
    app.command(command, name=study.name)


for _name, _table in TABLES.items():
    _add_table(_name, _table)
for _study in STUDIES.values():
    _add_study(_study)
