"""The result of an audit or an attack, and its display in notebooks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palimpsest.display import frame, html_paragraph, html_table
from palimpsest.metrics import Metrics

if TYPE_CHECKING:
    import pandas

_BASELINES = ("mean_image", "nearest_auxiliary")
_MAIN = ("mse", "token_accuracy", "identification_top1")
_COLUMNS = ("score", "value", "low", "high", "chance", *_BASELINES)


@dataclass(frozen=True)
class AuditResult:
    """The result of an audit or an attack. Notebooks display its verdict and scores.

    Args:
        folder: The run folder with `report.html` and `metrics.json`.
        metrics: The contents of `metrics.json`.
        verdict: The report's first sentences, one per line.

    Example:
        >>> from pathlib import Path
        >>> from palimpsest import AuditResult
        >>> from palimpsest.metrics import Metrics
        >>> metrics = Metrics(attack={"queries": 1000.0}, seconds={"reconstructions": 2.5})
        >>> result = AuditResult(Path("runs/first"), metrics, "The attack identified no sample.")
        >>> result.report.as_posix(), result.metrics.attack["queries"]
        ('runs/first/report.html', 1000.0)
    """

    folder: Path
    metrics: Metrics
    verdict: str

    @property
    def report(self) -> Path:
        """Path of the report page. It contains the forgotten images, so keep it private."""
        return self.folder / "report.html"

    def __repr__(self) -> str:
        """Return three lines: the verdict, the main scores, and the path of the report."""
        headline = self.verdict.partition("\n")[0]
        listed = [f"{row['score']} {_with_interval(row)}" for row in self._scores() if row["score"] in _MAIN]
        return f"{headline}\n{'; '.join(listed) or 'Nothing was scored.'}\nReport: {self.report}"

    def to_frame(self) -> "pandas.DataFrame":
        """Return a data frame with one row for each score.

        The columns are the value, the ends of its 95% interval (exact for identification, bootstrap for the others),
        the chance level, and the scores of the trivial baselines. Without the forgotten samples nothing is scored, and
        the frame is empty.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return frame(list(self._scores()), columns=_COLUMNS, index="score")

    def per_image(self) -> "pandas.DataFrame":
        """Return a data frame with one row for each proof: acceptance, norm and, if scored, label and scores.

        Raises:
            ConfigurationError: pandas is not installed.
            RunError: The run was purged.
        """
        # The report's modules import Matplotlib and Jinja, which a result alone does not need.
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
            [row["score"], *(_formatted(row.get(column)) for column in _COLUMNS[1:])]
            for row in self._scores()
        ]
        if rows:
            shown += html_table([column.replace("_", " ") for column in _COLUMNS], rows)
        return shown + html_paragraph(f"Report: {self.report}")

    def _scores(self) -> Iterator[dict[str, Any]]:
        means = self.metrics.reconstruction
        for name in () if means is None else means.names():
            score = self.metrics.score(name)
            assert score is not None, "the name comes from these metrics"
            low, high = score.interval or (None, None)
            row = {"score": name, "value": score.value, "low": low, "high": high, "chance": score.chance}
            baselines = {baseline: self.metrics.baselines.get(baseline) for baseline in _BASELINES}
            yield row | {baseline: part and part.score(name) for baseline, part in baselines.items()}


def _with_interval(row: dict[str, Any]) -> str:
    interval = "" if row["low"] is None else f" ({row['low']:.4g} to {row['high']:.4g})"
    return f"{row['value']:.4g}{interval}"


def _formatted(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
