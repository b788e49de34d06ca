"""`palimpsest reproduce`, with a subcommand for each published table and figure."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console

from palimpsest.api.progress import reporting
from palimpsest.api.remake import Grid, Study, Table, catalog, remake
from palimpsest.cli.options import SEVERAL, DataDir, Debug, Json, Keys, Log, Quiet, Track, command_line
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys
from palimpsest.errors import ReproductionError


def reproduce_commands() -> Mapping[str, Callable[..., None]]:
    """Return a command for each table and study, by name."""
    return {
        name: _table_command(name, entry) if isinstance(entry, Table) else _study_command(name, entry)
        for name, entry in catalog().items()
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
        """Run the audits that the table needs, and write it; finished runs are not recomputed.

        Parameters
        ----------
        preset
            Preset of data, model, federation and unlearning, as for `palimpsest audit`.
        out
            Folder of the table and of its runs. By default, it is under runs/.
        """
        with reporting(quiet=quiet, machine=machine, log=log, track=track or (), owns_process=True):
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


def _study_command(name: str, study: Study | Grid) -> Callable[..., None]:
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
        """Run the cells and write the table and its figure; finished cells are not recomputed.

        Parameters
        ----------
        out
            Folder of the table and of each cell's runs. By default, it is under runs/.
        cells
            Run only the cells with these names. An asterisk matches any text.
        seeds
            Seeds of the repetitions, in place of --seed. Several seeds give means with intervals.
        """
        with reporting(
            quiet=quiet,
            machine=machine,
            log=log,
            track=track or (),
            owns_process=True,
            command=command_line(),
        ):
            _remake(
                name,
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
    """Compute the table and print it, even if cells are missing."""
    table, failure = remake(name, keys, **settings)
    if machine:
        print_json(folder=str(table.folder), table=table.to_json())
    elif not quiet:
        Console(soft_wrap=True).print(f"\n{table.to_markdown()}", highlight=False, markup=False)
    if failure:
        raise ReproductionError(failure)
