"""`palimpsest sweep`."""

from pathlib import Path
from typing import Literal

from palimpsest.api.audit import sweep as run_sweep
from palimpsest.api.audit import sweep_folder
from palimpsest.api.progress import reporting
from palimpsest.cli.options import DataDir, Debug, Json, Keys, Log, Quiet, Track
from palimpsest.cli.output import print_comparison
from palimpsest.cli.overrides import given_keys


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
    overrides: Keys = None,
) -> None:
    """Audit every combination of values of chosen keys, and compare the audits.

    An interrupted sweep resumes with the same command; finished audits are kept.

    Parameters
    ----------
    preset
        Base configuration of every audit. It is a preset's name or the path of a YAML file.
    grid
        YAML file with a list of values for each key. An example is `attack.epochs: [5, 10]`, with a dot between section
        and key.
    out
        Folder of the runs and their comparison. By default, it is under runs/ and named after both files.
    engine
        Run one audit after the other, or several at a time on Ray.
    """
    folder = out or sweep_folder(preset, grid)
    with reporting(quiet=quiet, machine=machine, log=log, track=track or (), owns_process=True):
        comparison = run_sweep(
            preset,
            grid,
            given_keys(overrides),
            out=folder,
            data_dir=data_dir,
            engine=engine,
            track=track or (),
        )
    print_comparison(comparison, folder=folder, quiet=quiet, machine=machine)
