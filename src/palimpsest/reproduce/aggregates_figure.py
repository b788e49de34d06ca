"""Figure of aggregated proofs: error, identification, linkage and verification against the size of a group."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from palimpsest.report.drawing import new_figure
from palimpsest.reproduce.aggregates import GROUP_MEAN, LINKED, LINKED_OTHERS
from palimpsest.reproduce.defenses import MEAN_IMAGE, SOUND
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import Estimate, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("#0000a0", "#a00000", "#00803c", "#777777")
_MARKS = ("o", "s", "^", "x")
_CHANCE = 0.5


def draw_aggregates(study: Study, summaries: Sequence[Summary]) -> "Figure":
    """Draw four panels over the number of forgotten images behind a proof.

    Args:
        study: The study.
        summaries: Its finished cells.

    Returns:
        The figure. Bands are the intervals of the table.
    """
    panels: dict[str, Mapping[str, str]] = {
        "mean squared error": {
            "mse": "attack",
            MEAN_IMAGE.heading: "mean auxiliary image",
            GROUP_MEAN: "group's true mean image (no attacker has it)",
        },
        "identified (top-1)": {
            "identification_top1": "attack",
            "identified by it": "group's true mean image",
        },
        "linkage, area under the ROC curve": {
            LINKED: "against images never trained on",
            LINKED_OTHERS: "against other groups",
        },
        "verifiers, area under the ROC curve": {column.heading: column.heading for column in SOUND},
    }
    figure = new_figure(14, 4)
    for (title, lines), axes in zip(panels.items(), figure.subplots(1, len(panels)), strict=True):
        for (name, label), color, mark in zip(lines.items(), _COLORS, _MARKS, strict=False):
            _draw_line(axes, summaries, name, label, color, mark)
        axes.set_xscale("log", base=2)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(study.axis)
        axes.grid(linewidth=0.4)
        if title == "mean squared error":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(-0.03, 1.03)
        if "ROC" in title:
            axes.axhline(_CHANCE, color="black", linewidth=0.6, linestyle=":")
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.16))
    figure.suptitle(study.title, fontsize=11)
    return figure


def _draw_line(
    axes: "Axes", summaries: Sequence[Summary], name: str, label: str, color: str, mark: str
) -> None:
    """Draw a number with its intervals; cells that lack it are left out."""
    points: list[tuple[float, Estimate]] = []
    for summary in summaries:
        value = {**summary.scores, **summary.columns}.get(name)
        if value is not None and summary.cell.position is not None:
            points.append((summary.cell.position, value))
    axes.plot(
        [place for place, _ in points],
        [value.mean for _, value in points],
        f"{mark}-",
        color=color,
        label=label,
        markersize=4,
    )
    bands = [(place, value.low, value.high) for place, value in points if value.low is not None]
    if len(bands) == len(points):
        places, lows, highs = zip(*bands, strict=True) if bands else ((), (), ())
        axes.fill_between(places, lows, highs, color=color, alpha=0.15, linewidth=0)
