"""`palimpsest compare`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.cli.options import FLAG, SEVERAL, Debug, Json
from palimpsest.cli.output import print_json
from palimpsest.errors import RunError


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
    from palimpsest.comparison import find_runs

    folders = [folder for one in runs for folder in find_runs(one)]
    if not folders:
        raise RunError(f"There is no run in {', '.join(map(str, runs))}: name run folders.")
    write_comparison(folders, out=out, title=title, pictures=pictures, machine=machine)


def write_comparison(
    folders: list[Path],
    *,
    out: Path,
    title: str,
    pictures: bool = False,
    quiet: bool = False,
    machine: bool = False,
) -> None:
    """Write the comparison's page and tables, and print the table."""
    from palimpsest.comparison.comparison import Comparison

    comparison = Comparison.read(folders)
    page = comparison.save(out, title=title, pictures=pictures)
    if machine:
        print_json(page=str(page), runs=comparison.to_json())
    console = Console(soft_wrap=True, quiet=quiet or machine)
    console.print(comparison.to_markdown(), highlight=False, markup=False)
    console.print(f"Page: {page}", highlight=False, markup=False)
