"""`palimpsest attack`."""

from pathlib import Path
from typing import Annotated

from palimpsest.api.attack import attack as run_attack
from palimpsest.api.progress import reporting
from palimpsest.cli.options import FLAG, DataDir, Debug, Json, Keys, Log, Quiet, Track, command_line
from palimpsest.cli.output import print_result
from palimpsest.cli.overrides import given_keys


def attack(
    artifacts: Path | None = None,
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
    """Attack proofs of your own federation, or gradients that its server observed.

    Only the attack is trained. Without --truth, nothing is scored.

    An attack may take hours. Run `palimpsest doctor` with the same flags first to check the artifacts.

    Parameters
    ----------
    artifacts
        YAML file with the same keys as the flags. It may be a run folder's config.yaml.
    out
        Run folder. By default, it is under runs/ and named after the proofs or gradients and a hash of the
        configuration.
    replace
        Reuse a run folder of another configuration. Stages that have not changed are kept.
    """
    with reporting(
        quiet=quiet, machine=machine, log=log, track=track or (), owns_process=True, command=command_line()
    ):
        result = run_attack(artifacts, out=out, data_dir=data_dir, replace=replace, **given_keys(overrides))
    print_result(result, quiet=quiet, machine=machine)
