"""Complete audits: a single one, a grid of them, and those behind a published table."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from palimpsest.api.paths import checked_path
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
    """Audit unlearning: train a federation, unlearn, prove, defend, verify, attack, score and report.

    An audit that was stopped resumes after its last finished stage with the same call.

    Args:
        config: A configuration, a preset's name (see `preset_names`), or the path of a YAML file.
        overrides: Nested or dotted keys that override those of the preset or file, such as `{"attack.epochs": 5}`.
        out: The run folder. If omitted, a folder under `runs/` named after the preset and a hash of the configuration.
        data_dir: A folder that mirrors the published data sets; sets that it lacks come from the Hugging Face Hub.
        replace: Reuse a folder that holds another configuration, and keep its stages whose inputs are the same.
        quiet: Show no progress.
        log: A log file to append to: one line for each stage, and occasional progress of long stages.
        track: Experiment trackers that receive training history and scores, but no images: `tensorboard`, `wandb`,
            `mlflow`.

    Returns:
        The run folder, the metrics and the report's verdict.

    Raises:
        ConfigurationError: `config` is of another type, or a key or value is not accepted.
        PalimpsestError: The audit can't be carried out as configured; the message says what to change.

    Example:
        >>> import palimpsest
        >>> result = palimpsest.audit("digits", {"attack": {"epochs": 5}})  # doctest: +SKIP
        >>> "digits" in palimpsest.preset_names()
        True
        >>> palimpsest.audit({"attack": {"epochs": 5}})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        palimpsest.errors.ConfigurationError: config is a dict, ...
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


# Long: its docstring documents each parameter.
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
    """Audit every combination of the values in a grid, and compare the audits.

    Audits that are already finished are not run again. The comparison is written next to the runs, as
    `comparison.html`, `.md`, `.csv` and `.json`.

    Args:
        preset: The base configuration of every audit: a preset's name or the path of a YAML file.
        grid: Lists of values by dotted key, such as `{"attack.epochs": [5, 10]}`, or the path of a YAML file of them.
        overrides: Nested or dotted keys that override those of the preset in every audit.
        out: The folder of the runs. If omitted, the folder under `runs/` that `sweep_folder` returns.
        data_dir: A folder that mirrors the published data sets; sets that it lacks come from the Hugging Face Hub.
        engine: `in-process` runs one audit after the other, `ray` several at a time on Ray.
        quiet: Show no progress.
        log: A log file to append to: one line for each stage, and occasional progress of long stages.
        track: Experiment trackers that receive training history and scores, but no images: `tensorboard`, `wandb`,
            `mlflow`.

    Returns:
        The runs, in the order of the grid.

    Raises:
        ConfigurationError: The grid or a combination of its values is not accepted, or `track` is used with Ray.
        ReproductionError: At least one audit failed. The others have been run.

    Example:
        >>> import palimpsest
        >>> comparison = palimpsest.sweep("digits", {"attack.epochs": [5, 10]})  # doctest: +SKIP
        >>> palimpsest.sweep("digits", {"attack.epochs": 5})
        Traceback (most recent call last):
        ...
        palimpsest.errors.ConfigurationError: attack.epochs is 5 in the grid. Give a list of at least one value.
    """
    if track and engine == "ray":
        raise ConfigurationError(
            "Audits on Ray run in separate processes and can't be tracked. Leave track out, or run in-process."
        )
    preset = checked_path(
        preset, "preset", remedy="Pass a mapping as overrides, and the lists of values as grid."
    )
    remedy = 'Pass a mapping of lists, such as {"attack.epochs": [5, 10]}, or a YAML file of one.'
    values = grid if isinstance(grid, Mapping) else checked_path(grid, "grid", remedy=remedy)
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
    """The default folder of a sweep: under `runs/`, named after the preset and the grid's file."""
    return Path("runs") / f"{Path(preset).stem}-{_grid_name(grid)}"


def _grid_name(grid: Mapping[str, Sequence[Any]] | str | PathLike[str]) -> str:
    return "grid" if isinstance(grid, Mapping) else Path(grid).stem


# Long: its docstring documents each parameter.
def reproduce(
    name: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    preset: str | PathLike[str] | None = None,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (),
    out: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    quiet: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
) -> Reproduction:
    """Reproduce a published table or figure.

    Runs that are already finished are not run again. Most tables are a grid of audits with a run for each cell and
    seed; `cells` and `seeds` select among them. Tables with a computation of their own accept neither.

    Args:
        name: Name of the table, such as `igf-table1`. `palimpsest reproduce --help` lists them.
        overrides: Nested or dotted keys that override those of every audit.
        preset: The base configuration of a table with a computation of its own. If omitted, the table's default.
        cells: Names of the cells to compute, with `*` as a wildcard. If empty, all cells.
        seeds: Seeds of the repetitions. If empty, the seed in `overrides`, or else 1234.
        out: The folder of the table and its runs. If omitted, `runs/<name>`.
        data_dir: A folder that mirrors the published data sets; sets that it lacks come from the Hugging Face Hub.
        quiet: Show no progress.
        log: A log file to append to: one line for each stage, and occasional progress of long stages.
        track: Experiment trackers that receive training history and scores, but no images: `tensorboard`, `wandb`,
            `mlflow`.

    Returns:
        The table, with the published values next to the reproduced ones.

    Raises:
        ReproductionError: At least one cell could not be computed. The table has been written with the others.
        ConfigurationError: The table does not exist, or it does not accept cells and seeds.

    Example:
        >>> import palimpsest
        >>> table = palimpsest.reproduce("igf-table2", cells=["none"], seeds=[1, 2])  # doctest: +SKIP
        >>> palimpsest.reproduce("igf-table9")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        palimpsest.errors.ConfigurationError: There is no table 'igf-table9'. Available tables: ...
    """
    table, failure = remake(
        name,
        overrides,
        preset=preset,
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
    if isinstance(config, AuditConfig):
        if overrides:
            raise ConfigurationError(
                "Overrides can't be combined with an AuditConfig. Pass them when you build it."
            )
        return config
    # Callers without a type checker pass a dict by mistake; its text would be taken for a file's name.
    if not isinstance(config, str | PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"config is a {type(config).__name__}, but must be a preset's name, the path of a YAML file, or an "
            'AuditConfig. Pass a dict as overrides, as in audit("digits", {"seed": 1}), or convert it with '
            "build_config."
        )
    return read_config(str(config), overrides)


def _folder(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
