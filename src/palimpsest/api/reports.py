"""Finished runs: their reports, runs beside each other, and the removal of what is sensitive."""

from os import PathLike
from pathlib import Path

from palimpsest.comparison import COLUMNS, ComparedRun, find_runs
from palimpsest.comparison.comparison import Comparison
from palimpsest.errors import ConfigurationError, RunError
from palimpsest.report.page import draw_again, load_page
from palimpsest.runs import purge
from palimpsest.storage import write_text

__all__ = ["COLUMNS", "ComparedRun", "Comparison", "compare", "purge", "report", "runs"]


def report(
    run: str | PathLike[str],
    *,
    redact: bool = False,
    pictures: bool = False,
    out: str | PathLike[str] | None = None,
) -> Path:
    """Render a run's report again, or one that may be shown to others.

    Args:
        run: The run folder.
        redact: Leave out every image and every row about a single sample.
        pictures: Write the gallery, the curves and the distributions beside it as well, as PNG and SVG, for papers.
        out: The file to write; none for `report.html` in the run folder, or `report-redacted.html`.

    Returns:
        The page's path. Unless redacted it holds the forgotten images: keep it private.

    Raises:
        RunError: The run is not finished, was purged or is damaged, or nothing of the page would be left.
    """
    page = load_page(Path(run))
    path = Path(out) if out else Path(run) / ("report-redacted.html" if redact else "report.html")
    write_text(path, draw_again(page, redact=redact))
    if pictures:
        from palimpsest.report.pictures import save_pictures

        save_pictures(page, path.parent / "pictures")
    return path


def compare(
    *runs: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    title: str = "Comparison of runs",
    pictures: bool = False,
) -> Comparison:
    """Put runs beside each other.

    Args:
        runs: Run folders, or folders of them.
        out: A folder where `comparison.html`, `.md`, `.csv` and `.json` are written; none writes nothing.
        title: The page's heading.
        pictures: Write each score's picture beside it as well, as PNG and SVG, for papers.

    Raises:
        RunError: There is no run there, or one is damaged.
        ConfigurationError: Pictures are asked for and no folder.
    """
    folders = [folder for one in runs for folder in find_runs(Path(one))]
    if not folders:
        raise RunError(f"There is no run in {', '.join(map(str, runs)) or 'no folder'}: name run folders.")
    if pictures and out is None:
        raise ConfigurationError("Pictures go beside the page: name a folder with out.")
    comparison = Comparison.read(folders)
    if out is not None:
        comparison.save(Path(out), title=title, pictures=pictures)
    return comparison


def runs(folder: str | PathLike[str] = "runs") -> Comparison:
    """List the runs under a folder: what each was, and what came out; those that can't be read are in `damaged`.

    Args:
        folder: Where to look.
    """
    return Comparison.read(find_runs(Path(folder)), damaged=True)
