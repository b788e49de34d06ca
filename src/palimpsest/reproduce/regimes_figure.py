"""Figure of the error against the distance between the models: a panel for each network, a line for each attack."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palimpsest.reproduce.regimes import parts
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import Summary

_LINES = {
    "one": ("one stage", "#0000a0", "o"),
    "two": ("two stages", "#a00000", "s"),
    "joint": ("joint", "#777777", "^"),
}
_DISTANCE, _ACCURACY = "parameter distance", "test accuracy"


def draw_regimes(study: Study, summaries: Sequence[Summary]) -> Figure:
    """Draw the mean squared error over the parameter distance.

    Args:
        study: The study.
        summaries: Its finished cells.

    Returns:
        A figure with a panel for each network and number of rounds. An open mark is exact retraining.
    """
    regimes = list(dict.fromkeys(parts(summary.cell)[0] for summary in summaries))
    figure = Figure(figsize=(3.2 * len(regimes), 3.4), layout="constrained")
    for regime, axes in zip(
        regimes, figure.subplots(1, len(regimes), sharey=True, squeeze=False)[0], strict=True
    ):
        shown = [summary for summary in summaries if parts(summary.cell)[0] == regime]
        for stages in _LINES:
            _line(axes, [summary for summary in shown if parts(summary.cell)[2] == stages], stages)
        accuracy = shown[0].columns.get(_ACCURACY)
        axes.set_title(regime + (f", {accuracy.mean:.0%} accurate" if accuracy else ""), fontsize=10)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("distance between the models (L2)")
        axes.grid(linewidth=0.4)
    first = figure.axes[0]
    first.set_ylabel("mean squared error")
    first.legend(frameon=False, fontsize=8)
    figure.suptitle(study.title, fontsize=11)
    return figure


def _line(axes: Axes, summaries: Sequence[Summary], stages: str) -> None:
    """Draw one attack's errors with their intervals."""
    label, color, mark = _LINES[stages]
    points = sorted((summary for summary in summaries if _DISTANCE in summary.columns), key=_distance)
    axes.plot(
        [_distance(point) for point in points],
        [point.scores["mse"].mean for point in points],
        color=color,
        label=label,
    )
    for point in points:
        score, distance = point.scores["mse"], _distance(point)
        if score.low is not None and score.high is not None:
            # A logarithmic axis has no place for an interval that reaches zero: it is drawn to a tenth of the mean.
            axes.plot(
                [distance] * 2, [max(score.low, score.mean / 10), score.high], color=color, linewidth=0.8
            )
        filled = color if parts(point.cell)[1] != "retrain" else "white"
        axes.plot(distance, score.mean, mark, color=color, markerfacecolor=filled)


def _distance(summary: Summary) -> float:
    return summary.columns[_DISTANCE].mean
