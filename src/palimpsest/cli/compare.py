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
    machine: Json = False,
    debug: Debug = False,
) -> None:
    """Put runs beside each other: one page and one table.

    Parameters
    ----------
    runs
        Run folders, or folders of them.
    out
        The folder of comparison.html, .md, .csv and .json.
    title
        The page's heading.
    pictures
        Write each score's picture beside the page as well, as PNG and SVG files, for papers.
    """
    comparison = compare_runs(*runs, out=out, title=title, pictures=pictures)
    print_comparison(comparison, folder=out, machine=machine)
