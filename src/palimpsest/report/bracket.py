"""The bracket of a run as plots: its attack, the bounds on any attack, and chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from palimpsest.metrics import BoundsMetrics, Interval, Metrics
from palimpsest.report.figures import STYLE, Plot
from palimpsest.report.scores import number, percent
from palimpsest.report.svg import COLORS, inline_svg


@dataclass(frozen=True)
class Mark:
    """One row of a bracket plot.

    Args:
        label: Name of the row.
        value: The number.
        interval: Its 95 % interval; None if it has none.
        measured: Whether an attack reached it; otherwise it is a bound.
    """

    label: str
    value: float
    interval: Interval | None = None
    measured: bool = False


def bracket_plots(metrics: Metrics) -> list[Plot]:
    """Plot the attack, the bounds and chance for identification and for the error, as far as there are bounds.

    Args:
        metrics: The metrics of a run.
    """
    bounds = metrics.bounds
    plots = []
    if bounds is not None and bounds.identification is not None:
        plots.append(
            _plot(
                "Linkage: attack and bounds",
                _linkage_marks(metrics, bounds),
                ("chance", bounds.identification.chance),
                "share of proofs linked to the correct candidate",
                "Further right: more leakage. The scale is logarithmic.",
                share=True,
            )
        )
    baseline = metrics.baselines.get("mean_image") or metrics.baselines.get("typical")
    if bounds is not None and bounds.error is not None and baseline is not None and baseline.mse is not None:
        plots.append(
            _plot(
                "Error: attack and bounds",
                _error_marks(metrics, bounds),
                ("constant answer", baseline.mse),
                "mean squared error",
                "Further left: more leakage.",
                share=False,
            )
        )
    return plots


def _linkage_marks(metrics: Metrics, bounds: BoundsMetrics) -> list[Mark]:
    found, linkage = bounds.identification, metrics.linkage
    assert found is not None, "the plot needs bounds"
    marks = []
    if linkage is not None:
        low, high = linkage.intervals[0]
        marks.append(Mark("linkage attack", linkage.identified, (low, high), measured=True))
    known = (
        ("best possible attack", found.optimum, found.optimum_interval),
        ("bound, these candidates", found.candidate_bound, None),
        ("bound, all proofs at once", found.joint_bound, None),
        ("bound, any candidates", found.any_candidates_bound, None),
    )
    return marks + [Mark(label, value, ends) for label, value, ends in known if value is not None]


def _error_marks(metrics: Metrics, bounds: BoundsMetrics) -> list[Mark]:
    error, reading = bounds.error, metrics.score("mse")
    assert error is not None, "the plot needs bounds"
    marks = [] if reading is None else [Mark("attack", reading.value, reading.interval, measured=True)]
    marks.append(Mark("bound, auxiliary samples", error.bayes_error, error.bayes_interval))
    if error.van_trees is not None:
        marks.append(Mark("bound, Gaussian classes", error.van_trees))
    return marks


def _plot(
    title: str, marks: Sequence[Mark], line: tuple[str, float], axis: str, caption: str, *, share: bool
) -> Plot:
    write = percent if share else number
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 1.1 + 0.28 * len(marks)), layout="constrained")
        axes = figure.subplots()
        for place, mark in enumerate(marks):
            _draw(axes, mark, place)
        axes.axvline(line[1], color=COLORS["ink"], linestyle="--", linewidth=1.0, label=line[0])
        axes.set_yticks(range(len(marks)), [mark.label for mark in marks])
        axes.set_ylim(len(marks) - 0.5, -0.5)
        axes.set_xlabel(axis)
        if share:
            axes.set_xscale("log")
            axes.set_xlim(line[1] / 2, 1.3)
            axes.xaxis.set_major_formatter(lambda value, _: percent(value))
        else:
            axes.set_xlim(0, 1.1 * max([line[1], *(mark.value for mark in marks)]))
        figure.legend(loc="outside upper right", fontsize=8.5, borderpad=0)
        listed = "; ".join(f"{mark.label} {write(mark.value)}" for mark in marks)
        svg = inline_svg(
            figure,
            name=f"bracket-{'linkage' if share else 'error'}",
            description=f"{title}: {listed}; {line[0]} {write(line[1])}.",
        )
    return Plot(
        title, svg, f"Dot: an attack, with its 95\N{NO-BREAK SPACE}% interval. Bar: a bound. {caption}"
    )


def _draw(axes: Axes, mark: Mark, place: int) -> None:
    color = COLORS["rubric" if mark.measured else "blue"]
    if mark.interval is not None:
        axes.plot(mark.interval, [place, place], color=color)
    axes.plot(
        mark.value, place, "o" if mark.measured else "|", color=color, markersize=5 if mark.measured else 11
    )
