"""`palimpsest purge`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.api.reports import purge as purge_run
from palimpsest.cli.options import FLAG, SEVERAL, Debug, Json
from palimpsest.cli.output import print_json
from palimpsest.system.memory import readable_bytes

_LISTED = 20


def purge(
    runs: Annotated[list[Path], SEVERAL],
    *,
    dry_run: Annotated[bool, FLAG] = False,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Remove sensitive data from run folders: models, proofs, reconstructions and reports. Scores are kept.

    Removed files can't be restored; only another run can compute them again.

    Parameters
    ----------
    runs
        Run folders, or folders that contain run folders, such as a study's.
    dry_run
        Remove nothing, and list what would be removed.
    """
    console = Console(soft_wrap=True, quiet=machine)
    purged = {}
    for folder in runs:
        result = purge_run(folder, dry_run=dry_run)
        purged[str(folder)] = asdict(result)
        verb = "would remove" if dry_run else "removed"
        kept = ", ".join(result.kept) if len(result.kept) <= _LISTED else f"{len(result.kept):,} files"
        console.print(
            f"{folder}: {verb} {len(result.removed)} files and folders, {readable_bytes(result.bytes)}; kept {kept}",
            highlight=False,
            markup=False,
        )
        if result.shared:
            console.print(
                f"  Another run folder still holds {', '.join(result.shared)}. Purge that one too.",
                highlight=False,
                markup=False,
            )
    if machine:
        print_json(dry_run=dry_run, purged=purged)
