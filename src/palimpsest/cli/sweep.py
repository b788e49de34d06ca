"""`palimpsest sweep`."""

from pathlib import Path
from typing import Literal

from palimpsest.api.progress import watched
from palimpsest.cli.compare import write_comparison
from palimpsest.cli.options import DataDir, Debug, Json, Log, Overriding, Quiet, Track
from palimpsest.cli.overrides import given_keys
from palimpsest.errors import ConfigurationError


def sweep(
    preset: str,
    grid: Path,
    *,
    out: Path | None = None,
    data_dir: DataDir = None,
    engine: Literal["in-process", "ray"] = "in-process",
    quiet: Quiet = False,
    machine: Json = False,
    log: Log = None,
    track: Track = None,
    debug: Debug = False,
    overrides: Overriding = None,
) -> None:
    """Audit every combination of some keys' values, and compare them.

    A sweep that was stopped goes on with the same command: what is finished is kept.

    Parameters
    ----------
    preset
        Where each audit starts from: a preset's name or the path of a YAML file.
    grid
        A YAML file of lists, such as `attack.epochs: [5, 10]`; a dot leads into a section.
    out
        The folder of the runs and of their comparison; by default it is under runs/ and named after both files.
    engine
        One audit after the other, or several at a time on Ray.
    """
    from palimpsest.pipeline.sweep import read_grid
    from palimpsest.pipeline.sweep import sweep as run_sweep

    folder = out or Path("runs") / f"{Path(preset).stem}-{grid.stem}"
    if track and engine == "ray":
        raise ConfigurationError(
            "Audits on Ray run in processes of their own and can't be tracked: leave --track out."
        )
    points = read_grid(preset, grid, given_keys(overrides))
    with watched(quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True) as console:
        folders = run_sweep(points, out=folder, data_dir=data_dir, engine=engine, console=console)
    title = f"{Path(preset).stem} by {grid.stem}"
    write_comparison(folders, out=folder, title=title, quiet=quiet, machine=machine)
