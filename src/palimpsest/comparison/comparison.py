"""Runs beside each other, as one value that shows itself, converts and is written down."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from markupsafe import Markup

from palimpsest.comparison.columns import COLUMNS
from palimpsest.comparison.run_summary import ComparedRun, read_run
from palimpsest.comparison.table import as_csv, as_json, as_markdown, run_names, varying_keys, written
from palimpsest.display import frame, html_paragraph, html_table
from palimpsest.errors import RunError
from palimpsest.storage import write_json, write_text

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other; in a notebook it shows its table.

    Args:
        runs: What each was, and what came out.
        damaged: Why a folder's run can't be read.
    """

    runs: tuple[ComparedRun, ...]
    damaged: Mapping[Path, str] = field(default_factory=dict[Path, str])

    @classmethod
    def read(cls, folders: Iterable[Path], *, damaged: bool = False) -> Self:
        """Read run folders.

        Args:
            folders: The run folders.
            damaged: Set aside what can't be read, and say why.

        Raises:
            RunError: One is no run or is damaged, and `damaged` does not set it aside.
        """
        runs: list[ComparedRun] = []
        aside: dict[Path, str] = {}
        for folder in folders:
            try:
                runs.append(read_run(folder))
            except RunError as error:
                if not damaged:
                    raise
                aside[folder] = str(error)
        return cls(tuple(runs), aside)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[ComparedRun]:
        return iter(self.runs)

    def to_markdown(self) -> str:
        """The table, with intervals."""
        return as_markdown(self.runs)

    def to_csv(self) -> str:
        """The table with full numbers, each interval in two columns of its own, and chance in one."""
        return as_csv(self.runs)

    def to_json(self) -> list[dict[str, Any]]:
        """The table as plain values."""
        return as_json(self.runs)

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each run, as in the CSV.

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
            row = {"run": name, **run.what, **run.values, **ends, **chances}
            rows.append({**row, "seconds": run.seconds, "finished": run.finished})
        columns = dict.fromkeys(name for row in rows for name in row)
        return frame(rows, columns=list(columns) or ["run"], index="run")

    def save(self, folder: Path, *, title: str = "Comparison of runs", pictures: bool = False) -> Path:
        """Write `comparison.html`, `.md`, `.csv` and `.json`; they hold numbers and no image of a sample.

        Args:
            folder: Where they go.
            title: The page's heading.
            pictures: Write each score's picture into `pictures/` beside it as well, as PNG and SVG, for papers.

        Returns:
            The page's path.
        """
        # The page stands on Matplotlib and Jinja, which the table alone can do without.
        from palimpsest.comparison.page import render_comparison, save_comparison_pictures

        write_text(folder / "comparison.md", self.to_markdown())
        write_text(folder / "comparison.csv", self.to_csv())
        write_json(folder / "comparison.json", self.to_json())
        write_text(folder / "comparison.html", render_comparison(self.runs, title=title))
        if pictures:
            save_comparison_pictures(self.runs, folder / "pictures")
        return folder / "comparison.html"

    def _repr_html_(self) -> str:
        shown = self._table() if self.runs else html_paragraph("There is no run that can be read.")
        for path, why in self.damaged.items():
            shown += html_paragraph(f"{path}: {why}")
        return shown

    def _table(self) -> Markup:
        keys = varying_keys(self.runs)
        shown = [column for column in COLUMNS if any(column.name in run.values for run in self.runs)]
        headings = ["run", *keys, *(column.heading for column in shown), "seconds"]
        rows = [
            [
                name,
                *(run.what[key] for key in keys),
                *(written(column, run) for column in shown),
                f"{run.seconds:,.0f}" if run.finished else "stopped",
            ]
            for name, run in zip(run_names(self.runs), self.runs, strict=True)
        ]
        return html_table(headings, rows)
