"""The result of an audit or an attack, and how it shows itself in a notebook."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palimpsest.display import frame, html_paragraph, html_table
from palimpsest.metrics import Metrics

if TYPE_CHECKING:
    import pandas

_BASELINES = ("mean_image", "nearest_auxiliary")
_COLUMNS = ("score", "value", "low", "high", "chance", *_BASELINES)


@dataclass(frozen=True)
class AuditResult:
    """The result of an audit or an attack; in a notebook it shows its verdict and its scores.

    Args:
        folder: The run folder with `report.html` and `metrics.json`.
        metrics: The contents of `metrics.json`.
        verdict: The report's first sentences, one a line.
    """

    folder: Path
    metrics: Metrics
    verdict: str

    @property
    def report(self) -> Path:
        """The page to open in a browser; it holds the forgotten images, so keep it private."""
        return self.folder / "report.html"

    def to_frame(self) -> "pandas.DataFrame":
        """One row for each score: its value, the ends of its 95 % interval, chance, and the trivial answers' scores.

        An attack without the truth has no score, and its frame no row.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return frame(list(self._scores()), columns=_COLUMNS, index="score")

    def per_image(self) -> "pandas.DataFrame":
        """One row for each proof: whether it was accepted, its norm, and where it was scored its label and scores.

        Raises:
            ConfigurationError: pandas is not installed.
            RunError: The run was purged.
        """
        # The report stands on Matplotlib and Jinja, which a result alone can do without.
        from palimpsest.report.page import load_page
        from palimpsest.report.table import per_image_columns

        columns = per_image_columns(load_page(self.folder))
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return frame(rows, columns=list(columns), index="image")

    def _repr_html_(self) -> str:
        headline, *findings = self.verdict.splitlines() or [""]
        shown = html_paragraph(headline, strong=True)
        for finding in findings:
            shown += html_paragraph(finding)
        rows = [
            [row["score"], *(_written(row.get(column)) for column in _COLUMNS[1:])] for row in self._scores()
        ]
        if rows:
            shown += html_table([column.replace("_", " ") for column in _COLUMNS], rows)
        return shown + html_paragraph(f"Report: {self.report}")

    def _scores(self) -> Iterator[dict[str, Any]]:
        means = self.metrics.reconstruction
        for name in () if means is None else means.names():
            reading = self.metrics.score(name)
            assert reading is not None, "a name of its own"
            low, high = reading.interval or (None, None)
            row = {"score": name, "value": reading.value, "low": low, "high": high, "chance": reading.chance}
            others = {one: self.metrics.baselines.get(one) for one in _BASELINES}
            yield row | {one: part and part.score(name) for one, part in others.items()}


def _written(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
