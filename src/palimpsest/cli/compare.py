"""`palimpsest compare`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from palimpsest.cli.options import SEVERAL, Debug
from palimpsest.errors import RunError


def compare(
    runs: Annotated[list[Path], SEVERAL],
    *,
    out: Path = Path("comparison"),
    title: str = "Comparison of runs",
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
    """
    from palimpsest.comparison import find_runs

    folders = [folder for one in runs for folder in find_runs(one)]
    if not folders:
        raise RunError(f"There is no run in {', '.join(map(str, runs))}: name run folders.")
    write_comparison(folders, out=out, title=title, console=Console(soft_wrap=True))


def write_comparison(folders: list[Path], *, out: Path, title: str, console: Console) -> None:
    """Write the comparison's page and tables, and print the table."""
    from palimpsest.comparison import as_csv, as_json, as_markdown, read_run
    from palimpsest.files import write_json, write_text
    from palimpsest.report.compared import render_comparison

    compared = [read_run(folder) for folder in folders]
    write_text(out / "comparison.md", as_markdown(compared))
    write_text(out / "comparison.csv", as_csv(compared))
    write_json(out / "comparison.json", as_json(compared))
    write_text(out / "comparison.html", render_comparison(compared, title=title))
    console.print(as_markdown(compared), highlight=False, markup=False)
    console.print(f"Page: {out / 'comparison.html'}", highlight=False, markup=False)
