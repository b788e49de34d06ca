"""Figure of leakage against soundness and utility."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palimpsest.report.drawing import new_figure
from palimpsest.reproduce.recommendation import CHECKS
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import Estimate, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_BLUE, _RED, _GREEN, _GRAY = "#0000a0", "#a00000", "#00803c", "#777777"
_COLORS = {"norm check": _GRAY, "range": _RED, "subspace": _GREEN, "spot check": _BLUE}
_MARKS = {"norm check": "x", "range": "^", "subspace": "s", "spot check": "o"}
_LEAKS = {
    "linked": ("linked among candidates", "D", _RED),
    "non-adaptive identified (top-1)": ("identified (top-1), non-adaptive attacker", ".", _GRAY),
    "best possible": ("linked by the best possible attack, simulated", "d", _GREEN),
    "linkage bound": ("bound of linkage by any attack on one proof", "|", "black"),
    "identification_top1": ("identified (top-1), adaptive attacker", "o", _BLUE),
}


def draw_frontier(study: Study, summaries: Sequence[Summary]) -> "Figure":
    """Draw the leakage under each defense next to the soundness of each verifier and the model's accuracy.

    Args:
        study: The study.
        summaries: Its finished cells.

    Returns:
        A figure with a panel for leakage, one for LPIPS if it was measured, and one for soundness.
    """
    has_lpips = any("lpips" in summary.scores for summary in summaries)
    figure = new_figure(14 if has_lpips else 11, 1.6 + 0.3 * len(summaries))
    panels = figure.subplots(
        1, 3 if has_lpips else 2, sharey=True, width_ratios=[2, 1, 2] if has_lpips else [1, 1]
    )
    left, right = panels[0], panels[-1]
    _draw_leakage(left, summaries)
    if has_lpips:
        _draw_perceptual_distance(panels[1], summaries)
    _draw_soundness(right, summaries)
    for axes in panels:
        axes.grid(linewidth=0.4)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.13), ncols=1)
    names = [summary.cell.name for summary in summaries]
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    figure.suptitle(study.title, fontsize=11)
    return figure


def _draw_leakage(axes: "Axes", summaries: Sequence[Summary]) -> None:
    """Draw the share of forgotten images that each attacker identifies or links."""
    for name, (label, mark, color) in _LEAKS.items():
        axes.plot([], [], mark, color=color, label=label)
        for place, summary in enumerate(summaries):
            _whisker(axes, {**summary.scores, **summary.columns}.get(name), place, color, mark)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("share of the forgotten images (lower is better)")


def _draw_perceptual_distance(axes: "Axes", summaries: Sequence[Summary]) -> None:
    """Draw the LPIPS distance of the adaptive attacker's reconstructions from the originals."""
    axes.plot([], [], "o", color=_BLUE, label="adaptive attacker")
    for place, summary in enumerate(summaries):
        _whisker(axes, summary.scores.get("lpips"), place, _BLUE, "o")
    axes.set_xlabel("LPIPS (higher is better)")


def _draw_soundness(axes: "Axes", summaries: Sequence[Summary]) -> None:
    """Draw the area under each verifier's ROC curve, and print the model's accuracy at the right margin."""
    for check in CHECKS:
        axes.plot([], [], _MARKS[check], color=_COLORS[check], label=check)
        for place, summary in enumerate(summaries):
            _whisker(axes, summary.columns[check], place, _COLORS[check], _MARKS[check])
    axes.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("area under the ROC curve, worst forger (0.5 is chance, higher is better)")
    margin = axes.secondary_yaxis("right")
    margin.set_yticks(
        range(len(summaries)), [f"{summary.columns['accuracy'].mean:.1%}" for summary in summaries]
    )
    margin.set_ylabel("test accuracy of the unlearned model")


def _whisker(axes: "Axes", estimate: Estimate | None, place: int, color: str, mark: str) -> None:
    """Draw a value with its interval; draw nothing if the value is absent."""
    if estimate is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [place, place], color=color, linewidth=1.2)
    axes.plot(estimate.mean, place, mark, color=color, markersize=5)
