"""`palimpsest report`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.cli.options import FLAG, Debug


def report(
    run: Path,
    *,
    redact: Annotated[bool, FLAG] = False,
    pictures: Annotated[bool, FLAG] = False,
    out: Path | None = None,
    debug: Debug = False,
) -> None:
    """Render a run's report again, or one that may be shown to others.

    Parameters
    ----------
    run
        A run folder.
    redact
        Leave out every image and every row about a single sample.
    pictures
        Write the gallery, the training curves and the distributions as PNG and SVG files, for papers.
    out
        The file to write; by default report.html in the run folder, or report-redacted.html. Pictures go beside it.
    """
    from palimpsest.files import write_text
    from palimpsest.report.page import load_page, render_page

    page = load_page(run)
    path = out or run / ("report-redacted.html" if redact else "report.html")
    write_text(path, render_page(page, redact=redact))
    console = Console(soft_wrap=True)
    console.print(f"Report: {path}", highlight=False, markup=False)
    if pictures:
        from palimpsest.report.pictures import save_pictures

        for picture in save_pictures(page, path.parent / "pictures"):
            console.print(f"Picture: {picture}", highlight=False, markup=False)
