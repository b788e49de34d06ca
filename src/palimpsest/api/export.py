"""Export of a finished run: per-image scores as CSV, the evidence page as HTML and JSON, the report as PDF."""

from collections.abc import Callable, Collection
from os import PathLike
from pathlib import Path
from typing import Literal

from palimpsest.errors import ConfigurationError, RunError
from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import draw_again, evidence_values, load_page
from palimpsest.report.pdf import find_chromium, write_pdf
from palimpsest.report.table import per_image_csv
from palimpsest.storage import write_json, write_text

__all__ = ["FILES", "Format", "export"]

Format = Literal["csv", "json", "evidence", "pdf"]
FILES: dict[Format, str] = {
    "csv": "scores.csv",
    "json": "evidence.json",
    "evidence": "evidence.html",
    "pdf": "report.pdf",
}
"""The name of the file of each format."""


# Long: its docstring documents each parameter.
def export(
    run: str | PathLike[str],
    *,
    out: str | PathLike[str],
    formats: Collection[Format] = ("csv", "json", "evidence"),
    redact: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Export a finished run for other programs and for the file.

    Args:
        run: The run folder.
        out: The folder to write to.
        formats: `csv` writes `scores.csv` with one line for each reconstruction. `evidence` writes
            `evidence.html`, the evidence page, which prints on one page. `json` writes `evidence.json` with the same
            as values, the findings and the metrics. `pdf` writes `report.pdf`, the whole report with the evidence page
            first, printed by an installed Chromium without a network.
        redact: Leave out every image, every row about a single sample, and every path, address and file name. Such an
            export has no `scores.csv`.
        overwrite: Replace existing files.

    Returns:
        The paths of the files, in the order of `formats`. Unless redacted, they describe single samples: keep them
        private.

    Raises:
        ConfigurationError: A format is unknown, there is none, or it can't be redacted.
        RunError: The run is unfinished, purged or damaged, or a file exists.
        ResourceError: There is no Chromium for a PDF.

    Example:
        >>> import palimpsest
        >>> palimpsest.export("runs/first", out="exported", formats=["json", "pdf"])  # doctest: +SKIP
        [PosixPath('exported/evidence.json'), PosixPath('exported/report.pdf')]
        >>> palimpsest.export("runs/missing", out="exported")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        palimpsest.errors.RunError: runs/missing ...
    """
    unknown = sorted(set(formats) - set(FILES))
    if unknown or not formats:
        raise ConfigurationError(
            f"The formats are {', '.join(unknown) or 'empty'}. Choose one or more of {', '.join(FILES)}."
        )
    if redact and "csv" in formats:
        raise ConfigurationError(
            "A redacted export has no scores of single samples. Leave out csv, or export without redaction."
        )
    page = load_page(Path(run))
    paths: dict[Format, Path] = {name: Path(out) / FILES[name] for name in dict.fromkeys(formats)}
    existing = [str(path) for path in paths.values() if path.exists() or path.is_symlink()]
    if existing and not overwrite:
        raise RunError(
            f"{', '.join(existing)} would be overwritten. Choose another folder, or set overwrite to replace it."
        )
    if "pdf" in paths:
        find_chromium()  # Fail before anything is written.
    writers: dict[Format, Callable[[ReportInput, Path], None]] = {
        "csv": lambda page, path: write_text(path, per_image_csv(page)),
        "json": lambda page, path: write_json(path, evidence_values(page, redact=redact)),
        "evidence": lambda page, path: write_text(path, draw_again(page, redact=redact, evidence=True)),
        "pdf": lambda page, path: write_pdf(draw_again(page, redact=redact), path),
    }
    for name, path in paths.items():
        writers[name](page, path)
    return list(paths.values())
