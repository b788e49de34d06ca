"""Reproduction of published tables and figures, and the catalog of them."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palimpsest.api.progress import reporting
from palimpsest.api.reproduction import Reproduction
from palimpsest.config import nested, read_config
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce.catalog import GRIDS, STUDIES, TABLES, Grid, Table
from palimpsest.reproduce.study import Study

if TYPE_CHECKING:
    from palimpsest.reproduce.summary import Summary

__all__ = ["Grid", "Study", "Table", "catalog", "remake"]


def catalog() -> Mapping[str, Study | Table | Grid]:
    """Every study (a grid of audits), and every table and grid with a computation of its own, by name."""
    return {**TABLES, **GRIDS, **STUDIES}


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
    """Reproduce a table, even if some of its cells can't be computed; errors as for `palimpsest.reproduce`.

    Args:
        name: Name of the table.
        overrides: Nested or dotted keys that override those of every audit.
        preset: The base configuration of a table with a computation of its own. If omitted, the table's default.
        cells: Names of the cells to compute. If empty, all cells.
        seeds: Seeds of the repetitions. If empty, the seed in `overrides`, or else 1234.
        out: The folder of the table and its runs. If omitted, `runs/<name>`.
        data_dir: A folder that mirrors the published data sets.
        quiet: Show no progress.
        log: A log file to append to.
        track: Experiment trackers.

    Returns:
        The table, and the reason why cells are missing from it: an empty string if it is complete.
    """
    table = catalog().get(name)
    if table is None:
        raise ConfigurationError(
            f"There is no table {name[:200]!r}. Available tables: {', '.join(sorted(catalog()))}."
        )
    folder = out or Path("runs") / name
    keys = nested(overrides or {})
    with reporting(quiet=quiet, log=log, track=track) as active:
        if isinstance(table, Table):
            if cells or seeds:
                raise ConfigurationError(f"{name} can only be made as a whole: leave cells and seeds out.")
            config = read_config(str(preset or table.preset), keys)
            table.make(config, out=folder, data_dir=data_dir, console=active.console)
            return Reproduction(name, folder), ""
        if preset is not None:
            raise ConfigurationError(f"The presets of {name} are part of its cells: leave preset out.")
        settings: dict[str, Any] = {
            "out": folder,
            "cells": cells,
            "seeds": seeds or (keys.get("seed", 1234),),
            "overrides": keys,
            "data_dir": data_dir,
            "console": active.console,
            "command": active.command or f"palimpsest reproduce {name}",
        }
        failure = _compute(table, settings)
    return Reproduction(name, folder), failure


def _compute(table: Study | Grid, settings: Mapping[str, Any]) -> str:
    """Compute the cells, and return the reason why some are missing."""
    if isinstance(table, Grid):
        table.make(**settings)
        return ""
    # This module imports the whole audit, which the catalog alone does not need.
    from palimpsest.reproduce.run import reproduce as run_study

    return _failure(run_study(table, **settings))


def _failure(summaries: "Sequence[Summary]") -> str:
    """The reason why cells are missing; an empty string if the table is complete."""
    failed = [summary for summary in summaries if summary.failure]
    if not failed:
        return ""
    return (
        f"{len(failed)} of {len(summaries)} cells could not be computed. The first is {failed[0].cell.name}: "
        f"{failed[0].failure}"
    )
