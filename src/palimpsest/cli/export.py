"""`palimpsest export`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.api.export import FILES, Format
from palimpsest.api.export import export as export_run
from palimpsest.cli.options import FLAG, Debug


def export(
    run: Path,
    *,
    out: Path,
    csv: Annotated[bool, FLAG] = False,
    json: Annotated[bool, FLAG] = False,
    evidence: Annotated[bool, FLAG] = False,
    pdf: Annotated[bool, FLAG] = False,
    redact: Annotated[bool, FLAG] = False,
    overwrite: Annotated[bool, FLAG] = False,
    debug: Debug = False,
) -> None:
    """Export a run's scores as CSV, its evidence page as HTML and JSON, and its report as PDF.

    Without --csv, --json, --evidence and --pdf, the evidence page is written as HTML and JSON and, unless redacted, the
    scores.

    Parameters
    ----------
    run
        Run folder.
    out
        Folder to write to.
    csv
        Write scores.csv, with one line for each reconstruction.
    json
        Write evidence.json, with the contents of the evidence page, the findings and the metrics.
    evidence
        Write evidence.html, which prints on one page.
    pdf
        Write report.pdf, the whole report with the evidence page first. This needs an installed Chromium, which gets no
        network.
    redact
        Leave out all images, all rows about single samples, and all paths, addresses and file names.
    overwrite
        Replace existing files.
    """
    chosen: dict[Format, bool] = {"csv": csv, "json": json, "evidence": evidence, "pdf": pdf}
    default: list[Format] = ["json", "evidence"] if redact else ["csv", "json", "evidence"]
    formats: list[Format] = [name for name in FILES if chosen[name]] or default
    console = Console(soft_wrap=True)
    for path in export_run(run, out=out, formats=formats, redact=redact, overwrite=overwrite):
        console.print(f"Wrote {path}", highlight=False, markup=False)
