"""`palimpsest doctor`."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from palimpsest.api.attack import findings
from palimpsest.cli.options import DataDir, Debug, Json, Keys
from palimpsest.cli.output import print_json
from palimpsest.cli.overrides import given_keys

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(
    artifacts: Path | None = None,
    *,
    out: Path = Path("runs"),
    data_dir: DataDir = None,
    machine: Json = False,
    debug: Debug = False,
    overrides: Keys = None,
) -> None:
    """Check the artifacts of an attack before running it; takes the flags of `palimpsest attack`.

    Each line reports one check: ok, warning or error. The command ends with code 2 if there is an error. An oracle is
    queried about at most 20 samples.

    Parameters
    ----------
    artifacts
        YAML file with the same keys as the flags.
    out
        Run folder that the attack would use. Nothing is written to it.
    """
    console = Console()
    listed: list[dict[str, str]] = []
    for finding in findings(artifacts, out=out, data_dir=data_dir, **given_keys(overrides)):
        listed.append(asdict(finding))
        if machine:
            continue
        line = Table.grid(padding=(0, 1))
        for width in (7, 13):
            line.add_column(width=width)
        line.add_column(overflow="fold")
        line.add_row(
            Text(finding.level, style=_STYLES[finding.level]), Text(finding.subject), Text(finding.message)
        )
        console.print(line)
    levels = Counter(finding["level"] for finding in listed)
    if machine:
        print_json(ok=not levels["error"], findings=listed)
    else:
        console.print(_conclusion(levels["error"], levels["warning"]), highlight=False, soft_wrap=True)
    if levels["error"]:
        raise SystemExit(2)


def _conclusion(errors: int, warnings: int) -> str:
    """Return the last line: what was found, and what to do next."""
    found = f"{_counted(errors, 'error').capitalize()}, {_counted(warnings, 'warning')}"
    if errors:
        return f"{found}. Correct the errors, then run `palimpsest doctor` again."
    if warnings:
        return f"{found}. Read the warnings, then run `palimpsest attack` with the same flags."
    return f"{found}. Everything is ok: run `palimpsest attack` with the same flags."


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
