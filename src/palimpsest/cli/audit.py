"""`palimpsest audit`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.api.progress import watched
from palimpsest.cli.options import FLAG, DataDir, Debug, Json, Log, Overriding, Quiet, Track, command_line
from palimpsest.cli.output import print_result
from palimpsest.cli.overrides import given_keys
from palimpsest.config import read_config


def audit(
    preset: str = "digits",
    *,
    out: Path | None = None,
    data_dir: DataDir = None,
    replace: Annotated[bool, FLAG] = False,
    quiet: Quiet = False,
    machine: Json = False,
    log: Log = None,
    track: Track = None,
    debug: Debug = False,
    overrides: Overriding = None,
) -> None:
    """Train a federation, unlearn, prove, defend, verify, attack, score and report.

    A run that was killed goes on, with the same command, from its last finished stage.

    Parameters
    ----------
    preset
        A preset's name (see `palimpsest presets`) or the path of a YAML file.
    out
        The run folder; by default it is under runs/ and named after the preset and a hash of the configuration.
    replace
        Go on in a run folder that holds another configuration, keeping the stages that are the same.
    """
    from palimpsest.pipeline.audit import audit as run_audit
    from palimpsest.runs import default_folder

    config = read_config(preset, given_keys(overrides))
    folder = out or default_folder(preset, config)
    with watched(quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True) as console:
        result = run_audit(
            config, out=folder, data_dir=data_dir, replace=replace, console=console, command=command_line()
        )
    if machine:
        print_result(result)
    elif not quiet:
        Console(soft_wrap=True).print(f"\n{result.verdict}\n\nReport: {result.report}", highlight=False)
