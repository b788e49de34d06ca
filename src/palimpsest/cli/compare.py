"""`palimpsest compare`."""

from pathlib import Path
from typing import Annotated

from palimpsest.api.reports import compare as compare_runs
from palimpsest.cli.options import FLAG, SEVERAL, Debug, Json
from palimpsest.cli.output import print_comparison


def compare(
    runs: Annotated[list[Path], SEVERAL],
    *,
    out: Path = Path("comparison"),
    title: str = "Comparison of runs",
    pictures: Annotated[bool, FLAG] = False,
    overwrite: Annotated[bool, FLAG] = False,
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Compare runs on one page and in one table.

    Parameters
    ----------
    runs
        Run folders, or folders that contain run folders.
    out
        Folder for comparison.html, .md, .csv and .json.
    title
        Heading of the page.
    pictures
        Also write a chart of each score as PNG and SVG files, for papers.
    overwrite
        Replace the files of an earlier comparison.
    """
    comparison = compare_runs(*runs, out=out, title=title, pictures=pictures, overwrite=overwrite)
    print_comparison(comparison, folder=out, machine=machine)
