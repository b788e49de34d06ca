"""The plots of the report page, drawn by Matplotlib as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from torch import Tensor

from palimpsest.report.drawing import drawing_settings, new_figure, whole_numbers
from palimpsest.report.scores import PER_IMAGE, count, number, percent
from palimpsest.report.svg import COLORS, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "text.color": COLORS["ink"],
    "axes.labelcolor": COLORS["ink"],
    "axes.edgecolor": COLORS["faint"],
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": COLORS["faint"],
    "ytick.color": COLORS["faint"],
    "xtick.labelcolor": COLORS["ink"],
    "ytick.labelcolor": COLORS["ink"],
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.6,
}
"""Matplotlib settings of the plots on a page."""
_BINS = 32
_LINES = (("rubric", "-"), ("blue", "--"), ("ink", ":"), ("faint", "-."))
_SERIES = {
    "retained": "objective, retained samples",
    "forgotten": "objective, forgotten samples",
    "validation mse": "squared error on validation images",
}
"""Readable names of recorded series."""


@dataclass(frozen=True)
class Plot:
    """A plot on the page, with its title and caption.

    Args:
        title: What the plot shows, in a few words.
        svg: The drawing, with a description for screen readers.
        caption: How to read the plot; empty if the text above the plots explains it.
    """

    title: str
    svg: Markup
    caption: str = ""


@contextmanager
def _axes(*, height: float = 2.7) -> Iterator[tuple["Figure", "Axes"]]:
    with drawing_settings(STYLE):
        figure = new_figure(4.6, height)
        yield figure, figure.subplots()


def score_histogram(name: str, values: Tensor, baselines: Mapping[str, float]) -> Plot:
    """Plot the distribution of one score over the images, with a line at the mean of each baseline.

    Args:
        name: A key of `PER_IMAGE`.
        values: One score for each image, `[n]`. Values that are not finite are left out.
        baselines: Mean scores, by the names that the legend shows.
    """
    score, finite = PER_IMAGE[name], _finite(values)
    lower = score.better == "low"
    with _axes() as (figure, axes):
        mean = float(finite.mean()) if finite.size else float("nan")
        marks = {"this attack": mean, **baselines}
        axes.hist(
            finite, bins=_edges(finite, marks), color=COLORS["rubric"], alpha=0.75, histtype="stepfilled"
        )
        _draw_marks(axes, marks)
        unit = f" in {score.unit}" if score.unit else ""
        axes.set_xlabel(
            f"{score.label}{unit} ({'lower' if lower else 'higher'} is closer){_left_out(values)}"
        )
        axes.set_ylabel("number of images")
        text = f"Histogram of {score.label} over {count(finite.size)} images: {_summary(finite)}"
        text += "".join(f"; {line} {number(value)}" for line, value in baselines.items())
        svg = inline_svg(figure, name=f"histogram-{name}", description=text + ".")
    return Plot(f"{score.label} of each reconstruction", svg)


def identified_within(ranks: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of guesses k, and the share of images whose original is among the k nearest.

    Args:
        ranks: Rank of the correct original, `[n]`; 1 is the nearest.
    """
    ordered = np.sort(ranks.cpu().numpy())
    guesses = np.unique(np.geomspace(1, len(ordered), 200).round().astype(int))
    return guesses, np.searchsorted(ordered, guesses, side="right") / len(ordered)


def identification_curve(ranks: Tensor) -> Plot:
    """Plot the share of images whose original is among the k nearest, against chance.

    Args:
        ranks: Rank of the correct original, `[n]`; 1 is the nearest.
    """
    total, ranks_array = len(ranks), ranks.cpu().numpy()
    guesses, found = identified_within(ranks)
    with _axes() as (figure, axes):
        axes.plot(guesses, 100 * found, color=COLORS["rubric"], label="this attack")
        axes.plot(guesses, 100 * guesses / total, color=COLORS["ink"], linestyle="--", label="chance")
        if total > 20:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: count(value))
        else:
            axes.xaxis.set_major_locator(whole_numbers(min_n_ticks=1))
        axes.set_ylim(-2, 102)
        axes.set_xlabel(f"guesses k, out of {count(total)} images")
        axes.set_ylabel("identified within k guesses (%)")
        axes.legend(loc="best")
        shares = ", ".join(
            f"{percent(float(np.mean(ranks_array <= k)))} within {count(k)}"
            for k in (1, 5, 10, 100)
            if k <= total
        )
        svg = inline_svg(
            figure,
            name="identification",
            description=f"Share of images identified, by number of guesses: {shares}.",
        )
    caption = (
        "Share of reconstructions whose original is among the k nearest forgotten images. The further the solid "
        "line is above the dashed one (random guessing), the more the reconstructions reveal."
    )
    return Plot("Identification by number of guesses", svg, caption)


def norm_histogram(norms: Tensor, tau: float) -> Plot:
    """Plot the distribution of the proofs' norms, with a line at the verifier's limit.

    Args:
        norms: L2 norms, `[n]`. Values that are not finite are left out.
        tau: The largest norm that the verifier accepts.
    """
    finite = _finite(norms)
    with _axes() as (figure, axes):
        marks = {f"tau = {number(tau)}": tau}
        axes.hist(finite, bins=_edges(finite, marks), color=COLORS["blue"], alpha=0.75, histtype="stepfilled")
        _draw_marks(axes, marks)
        axes.set_xlabel(f"L2 norm of the proof{_left_out(norms)}")
        axes.set_ylabel("number of proofs")
        text = (
            f"Histogram of the norms of {count(finite.size)} proofs: {_summary(finite)}; tau {number(tau)}."
        )
        svg = inline_svg(figure, name="norms", description=text)
    caption = "The verifier accepts the proofs to the left of the dashed line and rejects those to its right."
    return Plot("Norms of the proofs", svg, caption)


def training_curves(history: Mapping[str, Sequence[float]]) -> list[Plot]:
    """Plot the training history of an attack: all losses in one plot, every other series in its own.

    Args:
        history: Recorded values by name. Empty series are left out.
    """
    drawn = {name.replace("_", " "): values for name, values in history.items() if len(values)}
    losses = {name: values for name, values in drawn.items() if name.endswith("loss")}
    groups = ([losses] if losses else []) + [
        {name: values} for name, values in drawn.items() if name not in losses
    ]
    return [_curve(group, name=f"curve-{index}") for index, group in enumerate(groups)]


def participation_bars(participation: Sequence[int], forgetting: set[int]) -> Plot:
    """Plot the number of rounds that used each client's reply.

    Args:
        participation: One number for each client.
        forgetting: Clients whose samples are forgotten. They are drawn in the accent color unless that is all of them.
    """
    marked = forgetting if len(forgetting) < len(participation) else set()
    groups = [
        ("clients that forget", "rubric", sorted(marked)),
        ("other clients", "blue", sorted(set(range(len(participation))) - marked)),
    ]
    with _axes() as (figure, axes):
        for label, color, clients in groups:
            rounds = [participation[client] for client in clients]
            axes.bar(clients, rounds, color=COLORS[color], alpha=0.8, label=label)
        if marked:
            figure.legend(loc="outside upper left", ncols=2, fontsize=8.5, borderpad=0)
        axes.set_xlim(-0.8, len(participation) - 0.2)
        axes.set_xlabel("client number")
        axes.set_ylabel("number of rounds")
        axes.xaxis.set_major_locator(whole_numbers(min_n_ticks=1))
        axes.yaxis.set_major_locator(whole_numbers(min_n_ticks=1))
        text = (
            f"Rounds in which each of {count(len(participation))} clients took part: "
            f"from {min(participation)} to {max(participation)}."
        )
        svg = inline_svg(figure, name="participation", description=text)
    caption = "One bar for each client: the number of training rounds that used its reply."
    return Plot("Rounds of each client", svg, caption)


def _curve(group: Mapping[str, Sequence[float]], *, name: str) -> Plot:
    names = {series: _SERIES.get(series, series) for series in group}
    with _axes() as (figure, axes):
        for index, (series, values) in enumerate(group.items()):
            color, style = _LINES[index % len(_LINES)]
            marker = "o" if len(values) == 1 else None
            steps = range(1, len(values) + 1)
            axes.plot(steps, values, color=COLORS[color], linestyle=style, marker=marker, label=names[series])
        numbers = _finite(Tensor([value for values in group.values() for value in values]))
        logarithmic = numbers.size > 0 and numbers.min() > 0 and numbers.max() > 30 * numbers.min()
        if logarithmic:
            axes.set_yscale("log")
        axes.set_xlabel("epoch or iteration")
        axes.xaxis.set_major_locator(whole_numbers())
        if len(group) > 1:
            axes.set_ylabel("loss")
            axes.legend(loc="best")
        else:
            axes.set_ylabel(next(iter(names.values())))
        text = "; ".join(
            f"{names[series]} from {number(values[0])} to {number(values[-1])}"
            for series, values in group.items()
        )
        svg = inline_svg(figure, name=name, description=f"Curves over training: {text}.")
    title = "Losses" if len(group) > 1 else next(iter(names.values()))
    scale = "The vertical axis is logarithmic." if logarithmic else ""
    return Plot(title[:1].upper() + title[1:], svg, scale)


def _draw_marks(axes: "Axes", values: Mapping[str, float]) -> None:
    """Draw a vertical line at each finite value, and a legend of the lines."""
    for index, (label, value) in enumerate(values.items()):
        style = ("-", "--", ":", "-.")[index % 4] if len(values) > 1 else "--"
        if np.isfinite(value):
            axes.axvline(value, color=COLORS["ink"], linestyle=style, linewidth=1.3, label=label)
    axes.yaxis.set_major_locator(whole_numbers())
    if any(map(np.isfinite, values.values())):
        axes.figure.legend(loc="outside upper left", ncols=3, fontsize=8.5, borderpad=0, columnspacing=1.2)


def _edges(finite: np.ndarray, marks: Mapping[str, float]) -> list[float] | int:
    """Return bin edges: narrow enough to show the distribution, wide enough to be visible beside distant marks."""
    if not finite.size:
        return _BINS
    low, high = finite.min(), finite.max()
    visible = [low, high, *filter(np.isfinite, marks.values())]
    width = max((high - low) / _BINS, (max(visible) - min(visible)) / (2 * _BINS))
    if width <= np.finfo(float).eps * max(abs(low), abs(high)):
        return _BINS
    # Bins are slightly wider than needed, so that rounding keeps the outermost value inside.
    width *= 1 + 1e-9
    bins = math.ceil((high - low) / width) or 1
    return ((low + high - bins * width) / 2 + width * np.arange(bins + 1)).tolist()


def _finite(values: Tensor) -> np.ndarray:
    array = values.detach().cpu().double().numpy()
    return array[np.isfinite(array)]


def _left_out(values: Tensor) -> str:
    missing = int((~values.isfinite()).sum())
    return f", {count(missing)} not finite left out" if missing else ""


def _summary(values: np.ndarray) -> str:
    if not values.size:
        return "no finite value"
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"median {number(middle)}, from {number(low)} to {number(high)}"
