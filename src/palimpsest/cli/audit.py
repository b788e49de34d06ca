"""`palimpsest audit`."""

from pathlib import Path
from typing import Annotated

from palimpsest.api.audit import audit as run_audit
from palimpsest.api.progress import reporting
from palimpsest.cli.options import FLAG, DataDir, Debug, Json, Keys, Log, Quiet, Track, command_line
from palimpsest.cli.output import print_result
from palimpsest.cli.overrides import given_keys


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
    overrides: Keys = None,
) -> None:
    """Train a federation, unlearn, prove, defend, verify, attack, score and report.

    An interrupted run resumes from its last finished stage with the same command.

    Parameters
    ----------
    preset
        Name of a preset, or path of a YAML file. The command `palimpsest presets` lists the presets.
    out
        Run folder. By default, it is under runs/ and named after the preset and a hash of the configuration.
    replace
        Reuse a run folder of another configuration. Stages that have not changed are kept.
    """
    with reporting(
        quiet=quiet, machine=machine, log=log, track=track or (), owns_process=True, command=command_line()
    ):
        result = run_audit(preset, given_keys(overrides), out=out, data_dir=data_dir, replace=replace)
    print_result(result, quiet=quiet, machine=machine)
