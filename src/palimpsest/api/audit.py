"""Whole audits: one, a grid of them, and those of a published table."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from palimpsest.api.progress import reporting
from palimpsest.api.remake import remake
from palimpsest.api.reproduction import Reproduction
from palimpsest.comparison.comparison import Comparison
from palimpsest.config import AuditConfig, read_config
from palimpsest.errors import ConfigurationError, ReproductionError
from palimpsest.pipeline.audit import audit as run_audit
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.sweep import read_grid
from palimpsest.pipeline.sweep import sweep as run_sweep
from palimpsest.runs import default_folder


def audit(
    config: AuditConfig | str | PathLike[str] = "digits",
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    replace: bool = False,
    quiet: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
) -> AuditResult:
    """Train a federation, unlearn, prove, defend, verify, attack, score and report.

    An audit that was stopped goes on, with the same call, from its last finished stage.

    Args:
        config: A configuration, a preset's name (see `preset_names`), or the path of a YAML file.
        overrides: Nested keys that win over those of a preset or a file: `{"attack": {"epochs": 5}}`.
        out: The run folder; none for one under `runs/`, named after the preset and a hash of the configuration.
        data_dir: A folder that mirrors the data sets; what it lacks comes from the hub.
        replace: Go on in a folder that holds another configuration, keeping the stages that are the same.
        quiet: Show no progress.
        log: A file that grows by a line for each stage, and now and then for what takes long.
        track: Trackers that receive curves and scores, and no image: tensorboard, wandb, mlflow.

    Raises:
        PalimpsestError: What was asked for can't be done; the message says what to change.
    """
    name = "audit" if isinstance(config, AuditConfig) else str(config)
    chosen = _read(config, overrides)
    folder = Path(out) if out else default_folder(name, chosen)
    with reporting(quiet=quiet, log=log, track=track) as active:
        return run_audit(
            chosen,
            out=folder,
            data_dir=_folder(data_dir),
            replace=replace,
            console=active.console,
            command=active.command,
        )


def sweep(
    preset: str | PathLike[str],
    grid: Mapping[str, Sequence[Any]] | str | PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    engine: Literal["in-process", "ray"] = "in-process",
    quiet: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
) -> Comparison:
    """Audit every combination of some keys' values, and compare them; what is finished is not computed twice.

    The comparison's page and tables are written beside the runs, as `comparison.html`, `.md`, `.csv` and `.json`.

    Args:
        preset: Where each audit starts from: a preset's name or the path of a YAML file.
        grid: Lists of values by key, a dot leading into a section, `{"attack.epochs": [5, 10]}`; or a YAML file.
        overrides: Nested keys that every audit has.
        out: The folder of the runs; None takes `sweep_folder`.
        data_dir: A folder that mirrors the data sets; what it lacks comes from the hub.
        engine: One audit after the other, or several at a time on Ray.
        quiet: Show no progress.
        log: A file that grows by a line for each stage, and now and then for what takes long.
        track: Trackers that receive curves and scores, and no image: tensorboard, wandb, mlflow.

    Raises:
        PalimpsestError: A combination is not accepted, or an audit could not be run; the others were.
    """
    if track and engine == "ray":
        raise ConfigurationError(
            "Audits on Ray run in processes of their own and can't be tracked: leave track out."
        )
    values = grid if isinstance(grid, Mapping) else Path(grid)
    folder = Path(out) if out else sweep_folder(preset, grid)
    points = read_grid(str(preset), values, overrides)
    with reporting(quiet=quiet, log=log, track=track) as active:
        folders = run_sweep(
            points, out=folder, data_dir=_folder(data_dir), engine=engine, console=active.console
        )
    comparison = Comparison.read(folders)
    comparison.save(folder, title=f"{Path(preset).stem} by {_grid_name(grid)}")
    return comparison


def sweep_folder(
    preset: str | PathLike[str], grid: Mapping[str, Sequence[Any]] | str | PathLike[str]
) -> Path:
    """The folder of a sweep whose user names none: under `runs/`, named after the preset and the grid's file."""
    return Path("runs") / f"{Path(preset).stem}-{_grid_name(grid)}"


def _grid_name(grid: Mapping[str, Sequence[Any]] | str | PathLike[str]) -> str:
    return "grid" if isinstance(grid, Mapping) else Path(grid).stem


def reproduce(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (),
    out: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    quiet: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
) -> Reproduction:
    """Make a published table or figure again; what is finished is not computed twice.

    Args:
        name: The table's, such as `igf-table1`; see `palimpsest reproduce --help`.
        overrides: Nested keys that every audit has.
        cells: Only cells of these names, in which * stands for anything; not for tables of their own making.
        seeds: Seeds of the repeats, 1234 alone by default; not for tables of their own making.
        out: The folder of the table and of its runs; none for `runs/<name>`.
        data_dir: A folder that mirrors the data sets; what it lacks comes from the hub.
        quiet: Show no progress.
        log: A file that grows by a line for each stage, and now and then for what takes long.
        track: Trackers that receive curves and scores, and no image: tensorboard, wandb, mlflow.

    Raises:
        ReproductionError: A cell could not be computed; the others were, and the table stands without it.
        ConfigurationError: There is no such table, or it takes no cells and seeds.
    """
    table, failure = remake(
        name,
        overrides,
        cells=cells,
        seeds=seeds,
        out=Path(out) if out else None,
        data_dir=_folder(data_dir),
        quiet=quiet,
        log=log,
        track=track,
    )
    if failure:
        raise ReproductionError(failure)
    return table


def _read(config: AuditConfig | str | PathLike[str], overrides: Mapping[str, Any] | None) -> AuditConfig:
    if not isinstance(config, AuditConfig):
        return read_config(str(config), overrides)
    if overrides:
        raise ConfigurationError("Overrides go with a preset or a file: build the configuration with them.")
    return config


def _folder(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
