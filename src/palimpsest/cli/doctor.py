"""`palimpsest doctor`."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from palimpsest.api.attack import findings
from palimpsest.cli.options import DataDir, Debug, Json, Keys
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys
from palimpsest.errors import CaseError

_STYLES = {"fits": "green", "mind": "yellow", "fault": "bold red"}


def doctor(
    case: Path | None = None,
    *,
    out: Path = Path("runs"),
    data_dir: DataDir = None,
    machine: Json = False,
    debug: Debug = False,
    overrides: Keys = None,
) -> None:
    """Say, before hours are spent, whether the pieces of an attack fit: the same flags as `palimpsest attack`.

    Each line is a thing that was looked at: it fits, it is to be minded, or it is a fault, for which the command ends
    with code 2. An oracle is asked about some twenty samples.

    Parameters
    ----------
    case
        A YAML file with the same keys as the flags.
    out
        Where the run would stand; nothing is written.
    """
    console = Console()
    faults, found = 0, list[dict[str, str]]()
    for finding in findings(case, out=out, data_dir=data_dir, **given_keys(overrides)):
        faults += finding.level == "fault"
        found.append(asdict(finding))
        if machine:
            continue
        line = Table.grid(padding=(0, 1))
        for width in (5, 13):
            line.add_column(width=width)
        line.add_column(overflow="fold")
        line.add_row(
            Text(finding.level, style=_STYLES[finding.level]), Text(finding.piece), Text(finding.sentence)
        )
        console.print(line)
    if machine:
        print_json(fits=not faults, findings=found)
    if faults:
        raise CaseError(f"{faults} of these must be put right before the attack is worth running.")
