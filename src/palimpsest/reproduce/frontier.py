"""Leakage against soundness and utility, in one picture."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palimpsest.reproduce.recommendation import CHECKS
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import Estimate, Summary

_BLUE, _RED, _GREEN, _GRAY = "#0000a0", "#a00000", "#00803c", "#777777"
_COLORS = {"norm check": _GRAY, "range": _RED, "subspace": _GREEN, "spot check": _BLUE}
_MARKS = {"norm check": "x", "range": "^", "subspace": "s", "spot check": "o"}
_LEAKS = {
    "confirmed": ("confirmed among candidates", "D", _RED),
    "non-adaptive top 1": ("told apart, attacker does not know the defense", ".", _GRAY),
    "identification_top1": ("told apart, attacker knows the defense", "o", _BLUE),
}


def draw_frontier(study: Study, summaries: Sequence[Summary]) -> Figure:
    """What each defense leaks, beside what its proofs are worth to each check, and what the model is worth.

    Args:
        study: Which one.
        summaries: Its finished cells.
    """
    seen = any("lpips" in summary.scores for summary in summaries)
    figure = Figure(figsize=(14 if seen else 11, 1.6 + 0.3 * len(summaries)), layout="constrained")
    panels = figure.subplots(1, 3 if seen else 2, sharey=True, width_ratios=[2, 1, 2] if seen else [1, 1])
    left, right = panels[0], panels[-1]
    _draw_leaks(left, summaries)
    if seen:
        _draw_distance(panels[1], summaries)
    _draw_worth(right, summaries)
    for axes in panels:
        axes.grid(linewidth=0.4)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.13), ncols=1)
    names = [summary.cell.name for summary in summaries]
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    figure.suptitle(study.title, fontsize=11)
    return figure


def _draw_leaks(axes: Axes, summaries: Sequence[Summary]) -> None:
    """The shares of the forgotten images that each attacker gets."""
    for name, (label, mark, color) in _LEAKS.items():
        axes.plot([], [], mark, color=color, label=label)
        for place, summary in enumerate(summaries):
            _whisker(axes, {**summary.scores, **summary.columns}.get(name), place, color, mark)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of the forgotten images (less is better)")


def _draw_distance(axes: Axes, summaries: Sequence[Summary]) -> None:
    """How far the reconstructions look from the originals."""
    axes.plot([], [], "o", color=_BLUE, label="attacker knows the defense")
    for place, summary in enumerate(summaries):
        _whisker(axes, summary.scores.get("lpips"), place, _BLUE, "o")
    axes.set_xlabel("LPIPS (more is better)")


def _draw_worth(axes: Axes, summaries: Sequence[Summary]) -> None:
    """What each check makes of the proofs, and at the margin the model's accuracy."""
    for check in CHECKS:
        axes.plot([], [], _MARKS[check], color=_COLORS[check], label=check)
        for place, summary in enumerate(summaries):
            _whisker(axes, summary.columns[check], place, _COLORS[check], _MARKS[check])
    axes.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("area under the ROC curve, worst forger (0.5 is a coin)")
    margin = axes.secondary_yaxis("right")
    margin.set_yticks(
        range(len(summaries)), [f"{summary.columns['accuracy'].mean:.1%}" for summary in summaries]
    )
    margin.set_ylabel("accuracy of the model")


def _whisker(axes: Axes, estimate: Estimate | None, place: int, color: str, mark: str) -> None:
    """A figure with its interval; nothing where it can't be had."""
    if estimate is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [place, place], color=color, linewidth=1.2)
    axes.plot(estimate.mean, place, mark, color=color, markersize=5)
