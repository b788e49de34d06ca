"""Leakage against soundness, in one picture."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palimpsest.reproduce.recommendation import CHECKS
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import Estimate, Summary

_COLOURS = {"norm check": "#777777", "range": "#a00000", "subspace": "#00803c", "spot check": "#0000a0"}
_MARKS = {"norm check": "x", "range": "^", "subspace": "s", "spot check": "o"}
_LEAKS = {"top 1": "told apart by the reconstruction", "confirmed": "confirmed among candidates"}


def draw_frontier(study: Study, summaries: Sequence[Summary]) -> Figure:
    """Each defence's leakage over what the best check of its proofs is worth.

    Args:
        study: Which one.
        summaries: Its finished cells.
    """
    figure = Figure(figsize=(11, 0.9 + 0.3 * len(summaries)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = [summary.cell.name for summary in summaries]
    for place, summary in enumerate(summaries):
        leaks = {"top 1": summary.scores["identification_top1"], "confirmed": summary.columns["confirmed"]}
        for (name, estimate), mark in zip(leaks.items(), ("o", "D"), strict=True):
            _whisker(left, estimate, place, "#0000a0" if name == "top 1" else "#a00000", mark)
        for check in CHECKS:
            _whisker(right, summary.columns[check], place, _COLOURS[check], _MARKS[check])
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.plot([], [], "o", color="#0000a0", label=_LEAKS["top 1"])
    left.plot([], [], "D", color="#a00000", label=_LEAKS["confirmed"])
    left.set_xlabel("share of the forgotten images (less is better)")
    for check in CHECKS:
        right.plot([], [], _MARKS[check], color=_COLOURS[check], label=check)
    right.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    right.set_xlabel("area under the ROC curve, worst forger (0.5 is a coin)")
    for axes in (left, right):
        axes.grid(linewidth=0.4)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
        axes.set_xlim(-0.03, 1.03)
    figure.suptitle(study.title, fontsize=11)
    return figure


def _whisker(axes: Axes, estimate: Estimate, place: int, colour: str, mark: str) -> None:
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=1.2)
    axes.plot(estimate.mean, place, mark, color=colour, markersize=5)
