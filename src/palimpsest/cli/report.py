"""`palimpsest report`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.api.reports import report as render
from palimpsest.cli.options import FLAG, Debug, Json
from palimpsest.cli.output import print_json


def report(
    run: Path,
    *,
    redact: Annotated[bool, FLAG] = False,
    evidence: Annotated[bool, FLAG] = False,
    pictures: Annotated[bool, FLAG] = False,
    out: Path | None = None,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Render a run's report again, or a redacted report that can be shared.

    Parameters
    ----------
    run
        Run folder.
    redact
        Leave out all images and all rows about single samples.
    evidence
        Render only the evidence page, the first part of the report, which prints on one page.
    pictures
        Also write the gallery, the curves and the distributions as PNG and SVG files, for papers.
    out
        File to write. By default, report.html, report-redacted.html, evidence.html or evidence-redacted.html in the
        run folder. Pictures are beside it.
    """
    page = render(run, redact=redact, evidence=evidence, pictures=pictures, out=out)
    drawn = sorted((page.parent / "pictures").iterdir()) if pictures else []
    if machine:
        return print_json(report=str(page), pictures=[str(picture) for picture in drawn])
    console = Console(soft_wrap=True)
    console.print(f"{'Evidence page' if evidence else 'Report'}: {page}", highlight=False, markup=False)
    for picture in drawn:
        console.print(f"Picture: {picture}", highlight=False, markup=False)
    return None
