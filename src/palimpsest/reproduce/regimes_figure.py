"""Figure of the regimes: error and identification against the distance between the models, a panel for each network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palimpsest.report.drawing import new_figure
from palimpsest.reproduce.regimes import parts
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import SCORES, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES = {
    "one": ("one stage", "#0000a0", "o"),
    "two": ("two stages", "#a00000", "s"),
    "joint": ("joint", "#777777", "^"),
}
_DISTANCE, _ACCURACY, _PRIOR = "parameter distance", "test accuracy", "prior alone: MSE"


def draw_regimes(study: Study, summaries: Sequence[Summary]) -> "Figure":
    """Draw mean squared error and identification over the parameter distance.

    Args:
        study: The study.
        summaries: Its finished cells.

    Returns:
        A figure with two panels for each network and number of rounds. An open mark is exact retraining, and the dotted
        line is the prior alone.
    """
    regimes = list(dict.fromkeys(parts(summary.cell)[0] for summary in summaries))
    figure = new_figure(1.2 + 3.0 * len(regimes), 5.2)
    panels = figure.subplots(2, len(regimes), sharex="col", sharey="row", squeeze=False)
    for column, regime in enumerate(regimes):
        shown = [summary for summary in summaries if parts(summary.cell)[0] == regime]
        errors, identified = panels[:, column]
        for stages in _LINES:
            line = [summary for summary in shown if parts(summary.cell)[2] == stages]
            _draw_line(errors, line, stages, "mse")
            _draw_line(identified, line, stages, "identification_top1")
        priors = [summary.columns[_PRIOR].mean for summary in shown if _PRIOR in summary.columns]
        if priors:
            label = "prior alone"
            errors.axhline(sum(priors) / len(priors), color="black", linewidth=1, linestyle=":", label=label)
        accuracy = shown[0].columns.get(_ACCURACY)
        errors.set_title(regime + (f", {accuracy.mean:.0%} accurate" if accuracy else ""), fontsize=10)
        errors.set_xscale("log")
        errors.set_yscale("log")
        identified.set_ylim(-0.03, 1.03)
        identified.set_xlabel("distance between the models (L2)")
        for axes in (errors, identified):
            axes.grid(linewidth=0.4)
    panels[0, 0].set_ylabel("mean squared error")
    panels[1, 0].set_ylabel(SCORES["identification_top1"][0])
    panels[0, -1].legend(frameon=False, fontsize=8)
    figure.suptitle(study.title, fontsize=11)
    return figure


def _draw_line(axes: "Axes", summaries: Sequence[Summary], stages: str, score: str) -> None:
    """Draw one attack's score with its intervals."""
    label, color, mark = _LINES[stages]
    points = sorted((summary for summary in summaries if _DISTANCE in summary.columns), key=_distance)
    axes.plot(
        [_distance(point) for point in points],
        [point.scores[score].mean for point in points],
        color=color,
        label=label,
    )
    for point in points:
        value, distance = point.scores[score], _distance(point)
        if value.low is not None and value.high is not None:
            # A logarithmic axis has no place for an interval that reaches zero: it is drawn to a tenth of the mean.
            low = max(value.low, value.mean / 10) if score == "mse" else value.low
            axes.plot([distance] * 2, [low, value.high], color=color, linewidth=0.8)
        filled = color if parts(point.cell)[1] != "retrain" else "white"
        axes.plot(distance, value.mean, mark, color=color, markerfacecolor=filled)


def _distance(summary: Summary) -> float:
    return summary.columns[_DISTANCE].mean
