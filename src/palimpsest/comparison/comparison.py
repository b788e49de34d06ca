"""The comparison of runs as a value: displayed in notebooks, converted to tables, and saved as files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from markupsafe import Markup

from palimpsest.comparison.columns import COLUMNS
from palimpsest.comparison.run_summary import ComparedRun, read_run
from palimpsest.comparison.table import as_csv, as_json, as_markdown, format_cell, run_names, varying_keys
from palimpsest.display import frame, html_paragraph, html_table
from palimpsest.errors import RunError
from palimpsest.storage import write_json, write_text

if TYPE_CHECKING:
    import pandas

FILES = ("comparison.html", "comparison.md", "comparison.csv", "comparison.json")
"""The files that `Comparison.save` writes, besides pictures."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs. In a notebook, it is displayed as a table.

    Args:
        runs: The settings and scores of each run.
        damaged: The folders of runs that can't be read, with the reasons.

    Example:
        >>> comparison = Comparison(())
        >>> len(comparison), comparison.to_json()
        (0, [])
    """

    runs: tuple[ComparedRun, ...]
    damaged: Mapping[Path, str] = field(default_factory=dict[Path, str])

    @classmethod
    def read(cls, folders: Iterable[Path], *, damaged: bool = False) -> Self:
        """Read run folders.

        Args:
            folders: The run folders.
            damaged: Collect runs that can't be read in `damaged` instead of raising an error.

        Returns:
            The comparison, with runs in the order of `folders`.

        Raises:
            RunError: A folder holds no run or a damaged one, and `damaged` is False.
        """
        runs: list[ComparedRun] = []
        unreadable: dict[Path, str] = {}
        for folder in folders:
            try:
                runs.append(read_run(folder))
            except RunError as error:
                if not damaged:
                    raise
                unreadable[folder] = str(error)
        return cls(tuple(runs), unreadable)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.runs)

    def __iter__(self) -> Iterator[ComparedRun]:
        """Iterate over the runs."""
        return iter(self.runs)

    def to_markdown(self) -> str:
        """Return the table as Markdown, with intervals."""
        return as_markdown(self.runs)

    def to_csv(self) -> str:
        """Return the table as CSV with full precision; intervals take two columns, chance takes one."""
        return as_csv(self.runs)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the table as plain values."""
        return as_json(self.runs)

    def to_frame(self) -> "pandas.DataFrame":
        """Return a data frame with one row for each run and the columns of the CSV.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        rows: list[dict[str, Any]] = []
        for name, run in zip(run_names(self.runs), self.runs, strict=True):
            ends = {
                f"{score}_{end}": value
                for score, interval in run.intervals.items()
                for end, value in zip(("low", "high"), interval, strict=True)
            }
            chances = {f"{score}_chance": value for score, value in run.chances.items()}
            row = {"run": name, "verdict": run.verdict, **run.what, **run.values, **ends, **chances}
            rows.append({**row, "seconds": run.seconds, "finished": run.finished})
        columns = dict.fromkeys(name for row in rows for name in row)
        return frame(rows, columns=list(columns) or ["run"], index="run")

    def save(self, folder: Path, *, title: str = "Comparison of runs", pictures: bool = False) -> Path:
        """Write `comparison.html`, `.md`, `.csv` and `.json`, which hold numbers but no samples.

        If runs reconstructed the same images, `comparison-samples.html` shows them side by side. Keep it private.

        Args:
            folder: The folder to write to.
            title: The heading of the page.
            pictures: Also write the plot of each score to `pictures/` as PNG and SVG, for papers.

        Returns:
            The path of the page.

        Raises:
            ResourceError: The disk is full.
            RunError: The folder can't be written.
        """
        # Imported late, because only the page needs Matplotlib and Jinja.
        from palimpsest.comparison.page import render_comparison
        from palimpsest.comparison.plots import save_comparison_pictures
        from palimpsest.comparison.same_samples import SAMPLES_PAGE, find_same_samples, render_same_samples

        samples = find_same_samples(self.runs)
        if samples:
            write_text(folder / SAMPLES_PAGE, render_same_samples(samples, title=title))
        else:
            # A page of an earlier comparison would show other runs.
            (folder / SAMPLES_PAGE).unlink(missing_ok=True)
        write_text(folder / "comparison.md", self.to_markdown())
        write_text(folder / "comparison.csv", self.to_csv())
        write_json(folder / "comparison.json", self.to_json())
        page = render_comparison(self.runs, title=title, folder=folder, samples=samples is not None)
        write_text(folder / "comparison.html", page)
        if pictures:
            save_comparison_pictures(self.runs, folder / "pictures")
        return folder / "comparison.html"

    def _repr_html_(self) -> str:
        """Return the table as HTML for a notebook."""
        html = self._table() if self.runs else html_paragraph("There is no run that can be read.")
        for path, reason in self.damaged.items():
            html += html_paragraph(f"{path}: {reason}")
        return html

    def _table(self) -> Markup:
        keys = varying_keys(self.runs)
        columns = [column for column in COLUMNS if any(column.name in run.values for run in self.runs)]
        headings = ["run", "verdict", *keys, *(column.heading for column in columns), "seconds"]
        rows = [
            [
                name,
                run.verdict or "–",
                *(run.what[key] for key in keys),
                *(format_cell(column, run) for column in columns),
                f"{run.seconds:,.0f}" if run.finished else "stopped",
            ]
            for name, run in zip(run_names(self.runs), self.runs, strict=True)
        ]
        return html_table(headings, rows)
