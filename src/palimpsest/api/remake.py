"""Making a published table or figure again, and the names of those there are."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palimpsest.api.progress import reporting
from palimpsest.api.reproduction import Reproduction
from palimpsest.config import read_config
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce.catalog import STUDIES, TABLES, Table
from palimpsest.reproduce.study import Study

if TYPE_CHECKING:
    from palimpsest.reproduce.summary import Summary

__all__ = ["Study", "Table", "catalog", "remake"]


def catalog() -> Mapping[str, Study | Table]:
    """Every study, which is a grid of audits, and every table of its own making, by name."""
    return {**TABLES, **STUDIES}


def remake(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    preset: str | PathLike[str] | None = None,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (),
    out: Path | None = None,
    data_dir: Path | None = None,
    quiet: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
) -> tuple[Reproduction, str]:
    """Make a table, as far as its cells can be computed; arguments and errors as for `palimpsest.reproduce`.

    Args:
        name: The table's.
        overrides: Nested keys that every audit has.
        preset: Where a table of its own making starts from; None takes the table's own.
        cells: Only cells of these names.
        seeds: Seeds of the repeats.
        out: The folder of the table and of its runs; None for `runs/<name>`.
        data_dir: A folder that mirrors the data sets.
        quiet: Show no progress.
        log: A log file.
        track: Trackers.

    Returns:
        The table, and why cells are missing in it; empty if none is.
    """
    table = catalog().get(name)
    if table is None:
        raise ConfigurationError(
            f"There is no table {name[:200]!r}: {', '.join(sorted(catalog()))} are there."
        )
    folder = out or Path("runs") / name
    asked = dict(overrides or {})
    with reporting(quiet=quiet, log=log, track=track) as active:
        if isinstance(table, Table):
            if cells or seeds:
                raise ConfigurationError(f"{name} is made whole: leave cells and seeds out.")
            config = read_config(str(preset or table.preset), asked)
            table.make(config, out=folder, data_dir=data_dir, console=active.console)
            return Reproduction(name, folder), ""
        # The module brings the whole audit along.
        from palimpsest.reproduce.run import reproduce as run_study

        summaries = run_study(
            table,
            out=folder,
            cells=cells,
            seeds=seeds or (asked.get("seed", 1234),),
            overrides=asked,
            data_dir=data_dir,
            console=active.console,
            command=active.command or f"palimpsest reproduce {name}",
        )
    return Reproduction(name, folder), _failure(summaries)


def _failure(summaries: "Sequence[Summary]") -> str:
    """Why cells are missing; empty if none is."""
    failed = [summary for summary in summaries if summary.failure]
    if not failed:
        return ""
    return (
        f"{len(failed)} of {len(summaries)} cells could not be computed, the first one, {failed[0].cell.name}, "
        f"because: {failed[0].failure}"
    )
