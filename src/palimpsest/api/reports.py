"""Reports, comparisons and lists of finished runs, and the removal of their sensitive files."""

from os import PathLike
from pathlib import Path

from palimpsest.api.paths import checked_path, refuse_existing
from palimpsest.comparison import COLUMNS, ComparedRun, find_runs
from palimpsest.comparison.comparison import FILES, Comparison
from palimpsest.errors import ConfigurationError, RunError
from palimpsest.runs import purge
from palimpsest.storage import write_text

__all__ = ["COLUMNS", "ComparedRun", "Comparison", "compare", "purge", "report", "runs"]


def report(
    run: str | PathLike[str],
    *,
    redact: bool = False,
    evidence: bool = False,
    pictures: bool = False,
    out: str | PathLike[str] | None = None,
) -> Path:
    """Render the report of a finished run again, in full or redacted for sharing.

    Args:
        run: The run folder.
        redact: Leave out every image, every row about a single sample, and every path, address and file name.
        evidence: Render only the evidence page, the first part of the report, which prints on one page.
        pictures: Also write the gallery, training history and distributions as PNG and SVG files for papers, to the
            folder `pictures` next to the page.
        out: The file to write. If omitted, `report.html` or `evidence.html` in the run folder, with `-redacted` in its
            name if redacted.

    Returns:
        Path of the page. Unless redacted, a report contains the forgotten images, and an evidence page names files:
        keep it private.

    Raises:
        RunError: The run is unfinished, purged or damaged.

    Example:
        >>> import palimpsest
        >>> palimpsest.report("runs/first", redact=True)  # doctest: +SKIP
        PosixPath('runs/first/report-redacted.html')
        >>> palimpsest.report("runs/missing")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        palimpsest.errors.RunError: runs/missing ...
    """
    # Imported late because a list of runs needs neither the page nor torch.
    from palimpsest.report.page import draw_again, load_page

    page = load_page(Path(run))
    name = f"{'evidence' if evidence else 'report'}{'-redacted' if redact else ''}.html"
    path = Path(out) if out else Path(run) / name
    write_text(path, draw_again(page, redact=redact, evidence=evidence))
    if pictures:
        from palimpsest.report.pictures import save_pictures

        save_pictures(page, path.parent / "pictures")
    return path


def compare(
    *runs: str | PathLike[str],
    out: str | PathLike[str] | None = None,
    title: str = "Comparison of runs",
    pictures: bool = False,
    overwrite: bool = False,
) -> Comparison:
    """Compare runs side by side.

    Args:
        runs: Run folders, or folders that contain them.
        out: A folder to write `comparison.html`, `.md`, `.csv` and `.json` to, and `comparison-samples.html` if runs
            reconstructed the same images: keep that page private. If omitted, nothing is written.
        title: The page's heading.
        pictures: Also write a figure of each score as PNG and SVG files for papers; requires `out`.
        overwrite: Replace the files of an earlier comparison in `out`.

    Returns:
        The runs, with their configurations and scores.

    Raises:
        RunError: A folder holds no run, or a run is damaged.
        ConfigurationError: `pictures` is set without `out`, or `out` holds a comparison and `overwrite` is not set.

    Example:
        >>> import palimpsest
        >>> comparison = palimpsest.compare("runs/first", "runs/second", out="comparison")  # doctest: +SKIP
        >>> palimpsest.compare("runs/missing")
        Traceback (most recent call last):
        ...
        palimpsest.errors.RunError: There is no run in runs/missing. Pass run folders, or folders that contain them.
    """
    if out is not None:
        refuse_existing(*(Path(out) / name for name in FILES), overwrite=overwrite)
    remedy = "Pass the folders one by one, as in compare(*folders)."
    found = {
        place: list(find_runs(place)) for place in (checked_path(run, "run", remedy=remedy) for run in runs)
    }
    without = ", ".join(str(place) for place, folders in found.items() if not folders)
    if without or not found:
        raise RunError(
            f"There is no run in {without or 'an empty list'}. Pass run folders, or folders that contain them."
        )
    # A run may be named itself and lie in a folder that is named too.
    folders = list({folder.resolve(): folder for place in found.values() for folder in place}.values())
    if pictures and out is None:
        raise ConfigurationError("Pictures are written next to the page. Set out to a folder.")
    comparison = Comparison.read(folders)
    if out is not None:
        comparison.save(Path(out), title=title, pictures=pictures)
    return comparison


def runs(folder: str | PathLike[str] = "runs") -> Comparison:
    """List the runs under a folder, with their configurations and scores.

    Args:
        folder: The folder to search.

    Returns:
        The runs. Folders of runs that can't be read are in its attribute `damaged`.

    Example:
        >>> import tempfile
        >>> import palimpsest
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     len(palimpsest.runs(folder))
        0
    """
    return Comparison.read(find_runs(Path(folder)), damaged=True)
