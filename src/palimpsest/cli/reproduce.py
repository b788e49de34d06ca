"""`palimpsest reproduce`: a command for each published table and figure."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console

from palimpsest.api.progress import reporting
from palimpsest.api.remake import Study, Table, catalog, remake
from palimpsest.cli.options import SEVERAL, DataDir, Debug, Json, Keys, Log, Quiet, Track, command_line
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys
from palimpsest.errors import ReproductionError


def reproduce_commands() -> Mapping[str, Callable[..., None]]:
    """A command for each table and study, by its name."""
    return {
        name: _table_command(name, made) if isinstance(made, Table) else _study_command(made)
        for name, made in catalog().items()
    }


def _table_command(name: str, table: Table) -> Callable[..., None]:
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
        overrides: Keys = None,
    ) -> None:
        """Run what it needs and write the table; what is finished is not computed twice.

        Parameters
        ----------
        preset
            Data, model, federation and what is forgotten; see `palimpsest audit`.
        out
            The folder of the table and of its runs; by default it is under runs/.
        """
        with reporting(quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True):
            _remake(
                name,
                given_keys(overrides),
                preset=preset,
                out=out,
                data_dir=data_dir,
                quiet=quiet,
                machine=machine,
            )

    command.__doc__ = f"{table.title}.\n\n{inspect.cleandoc(command.__doc__ or '')}"
    return command


def _study_command(study: Study) -> Callable[..., None]:
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
        overrides: Keys = None,
    ) -> None:
        """Run the cells and write the table and its picture; a cell that is finished is not computed twice.

        Parameters
        ----------
        out
            The folder of the table and of each cell's runs; by default it is under runs/.
        cells
            Only cells of these names, in which * stands for anything.
        seeds
            The seeds of the repeats, in place of --seed; several give means with their intervals.
        """
        with reporting(
            quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True, command=command_line()
        ):
            _remake(
                study.name,
                given_keys(overrides),
                cells=cells or (),
                seeds=seeds or (),
                out=out,
                data_dir=data_dir,
                quiet=quiet,
                machine=machine,
            )

    command.__doc__ = f"{study.title} ({study.source}).\n\n{inspect.cleandoc(command.__doc__ or '')}"
    return command


def _remake(name: str, keys: Mapping[str, Any], *, quiet: bool, machine: bool, **settings: Any) -> None:
    """Make the table and print it, also where cells are missing in it."""
    table, failure = remake(name, keys, **settings)
    if machine:
        print_json(folder=str(table.folder), table=table.to_json())
    elif not quiet:
        Console(soft_wrap=True).print(f"\n{table.to_markdown()}", highlight=False, markup=False)
    if failure:
        raise ReproductionError(failure)
