"""`palimpsest attack`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import BaseModel
from rich.console import Console

from palimpsest.api.progress import watched
from palimpsest.artifacts.config import CaseConfig, read_case
from palimpsest.cli.options import FLAG, DataDir, Debug, Json, Log, Quiet, Track, command_line
from palimpsest.cli.output import print_result
from palimpsest.cli.overrides import given_keys, override_model

# See `Overriding`.
if TYPE_CHECKING:
    CaseKeys = BaseModel
else:
    CaseKeys = override_model(CaseConfig)
Case = Annotated[CaseKeys | None, Parameter(name="*")]


def attack(
    case: Path | None = None,
    *,
    out: Path | None = None,
    data_dir: DataDir = None,
    replace: Annotated[bool, FLAG] = False,
    quiet: Quiet = False,
    machine: Json = False,
    log: Log = None,
    track: Track = None,
    debug: Debug = False,
    overrides: Case = None,
) -> None:
    """Attack proofs of your own federation, or gradients that its server saw: nothing is trained but the attack.

    Without --truth nothing is scored.

    Before hours are spent, `palimpsest doctor` with the same flags says whether the pieces fit.

    Parameters
    ----------
    case
        A YAML file with the same keys as the flags, such as a run folder's config.yaml.
    out
        The run folder; by default it is under runs/ and named after the proofs (or gradients) and a hash of the
        configuration.
    replace
        Go on in a run folder that holds another case, keeping the stages that are the same.
    """
    from palimpsest.pipeline.attack import attack as run_attack
    from palimpsest.runs import default_folder

    config = read_case(case, given_keys(overrides))
    folder = out or default_folder(config.brought.stem, config)
    with watched(quiet=quiet, machine=machine, log=log, track=track or (), everywhere=True) as console:
        result = run_attack(
            config, out=folder, data_dir=data_dir, replace=replace, console=console, command=command_line()
        )
    if machine:
        print_result(result)
    elif not quiet:
        Console(soft_wrap=True).print(f"\n{result.verdict}\n\nReport: {result.report}", highlight=False)
