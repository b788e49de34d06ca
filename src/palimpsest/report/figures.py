"""The report's figures, drawn by Matplotlib and returned as SVG for the page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from palimpsest.report.scores import PER_IMAGE, count, number, percent
from palimpsest.report.svg import COLORS, inline_svg

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
"""Matplotlib's settings for figures inside a page."""
_BINS = 32
_LINES = (("rubric", "-"), ("blue", "--"), ("ink", ":"), ("faint", "-."))


@contextmanager
def _axes(*, height: float = 2.7) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, height), layout="constrained")
        yield figure, figure.subplots()


def score_histogram(name: str, values: Tensor, baselines: Mapping[str, float]) -> Markup:
    """How one score is spread over the images, with a line for each baseline's mean.

    Args:
        name: A key of `PER_IMAGE`.
        values: One score for each image, `[n]`; those that are not finite are left out.
        baselines: Mean scores by the name that their line shall bear.
    """
    label = PER_IMAGE[name].label
    finite = _finite(values)
    with _axes() as (figure, axes):
        mean = float(finite.mean()) if finite.size else float("nan")
        marks = {"this attack": mean, **baselines}
        axes.hist(
            finite, bins=_edges(finite, marks), color=COLORS["rubric"], alpha=0.75, histtype="stepfilled"
        )
        _marks(axes, marks)
        better = "lower is closer" if PER_IMAGE[name].better == "low" else "higher is closer"
        axes.set_xlabel(f"{label} ({better}){_left_out(values)}")
        axes.set_ylabel("images")
        text = f"Histogram of {label} over {count(finite.size)} images: {_spread(finite)}"
        text += "".join(f"; {line} {number(value)}" for line, value in baselines.items())
        return inline_svg(figure, name=f"histogram-{name}", description=text + ".")


def identified_within(ranks: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of guesses k, and the share of images whose right image is among the k nearest.

    Args:
        ranks: Place of the right image, `[n]`, 1 is first.
    """
    places = np.sort(ranks.cpu().numpy())
    guesses = np.unique(np.geomspace(1, len(places), 200).round().astype(int))
    return guesses, np.searchsorted(places, guesses, side="right") / len(places)


def identification_curve(ranks: Tensor) -> Markup:
    """The share of images whose right image is among the k nearest, against chance.

    Args:
        ranks: Place of the right image, `[n]`, 1 is first.
    """
    total, places = len(ranks), ranks.cpu().numpy()
    guesses, found = identified_within(ranks)
    with _axes() as (figure, axes):
        axes.plot(guesses, 100 * found, color=COLORS["rubric"], label="this attack")
        axes.plot(guesses, 100 * guesses / total, color=COLORS["ink"], linestyle="--", label="chance")
        if total > 20:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: count(value))
        axes.set_ylim(-2, 102)
        axes.set_xlabel(f"guesses allowed, of {count(total)} images")
        axes.set_ylabel("right image found (%)")
        axes.legend(loc="best")
        shown = ", ".join(
            f"{percent(float(np.mean(places <= k)))} within {count(k)}" for k in (1, 5, 10, 100) if k <= total
        )
        return inline_svg(
            figure, name="identification", description=f"Share of images found by guesses allowed: {shown}."
        )


def norm_histogram(norms: Tensor, tau: float) -> Markup:
    """How the norms of the proofs are spread, with the verifier's limit.

    Args:
        norms: L2 norms, `[n]`; those that are not finite are left out.
        tau: The largest norm that is accepted.
    """
    finite = _finite(norms)
    with _axes() as (figure, axes):
        marks = {f"tau = {number(tau)}": tau}
        axes.hist(finite, bins=_edges(finite, marks), color=COLORS["blue"], alpha=0.75, histtype="stepfilled")
        _marks(axes, marks)
        axes.set_xlabel(f"norm of the proof{_left_out(norms)}")
        axes.set_ylabel("proofs")
        text = f"Histogram of the norms of {count(finite.size)} proofs: {_spread(finite)}; tau {number(tau)}."
        return inline_svg(figure, name="norms", description=text)


def training_curves(curves: Mapping[str, Sequence[float]]) -> list[Markup]:
    """What was recorded while the attack trained: losses in one figure, every other curve in its own."""
    drawn = {name.replace("_", " "): values for name, values in curves.items() if len(values)}
    losses = {name: values for name, values in drawn.items() if name.endswith("loss")}
    groups = ([losses] if losses else []) + [
        {name: values} for name, values in drawn.items() if name not in losses
    ]
    return [_curve(group, name=f"curve-{place}") for place, group in enumerate(groups)]


def participation_bars(participation: Sequence[int], forgetting: set[int]) -> Markup:
    """In how many rounds each client's reply was used.

    Args:
        participation: One number for each client.
        forgetting: The clients that forget; drawn in the accent color unless all of them do.
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
        axes.set_xlabel("client")
        axes.set_ylabel("rounds")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        text = (
            f"Rounds in which each of {count(len(participation))} clients took part: "
            f"from {min(participation)} to {max(participation)}."
        )
        return inline_svg(figure, name="participation", description=text)


def _curve(group: Mapping[str, Sequence[float]], *, name: str) -> Markup:
    with _axes() as (figure, axes):
        for place, (label, values) in enumerate(group.items()):
            color, style = _LINES[place % len(_LINES)]
            marker = "o" if len(values) == 1 else None
            steps = range(1, len(values) + 1)
            axes.plot(steps, values, color=COLORS[color], linestyle=style, marker=marker, label=label)
        numbers = _finite(Tensor([value for values in group.values() for value in values]))
        if numbers.size and numbers.min() > 0 and numbers.max() > 30 * numbers.min():
            axes.set_yscale("log")
        axes.set_xlabel("epoch or step, as recorded")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(group) > 1:
            axes.legend(loc="best")
        else:
            axes.set_ylabel(next(iter(group)))
        text = "; ".join(
            f"{label} from {number(values[0])} to {number(values[-1])}" for label, values in group.items()
        )
        return inline_svg(figure, name=name, description=f"Curves over training: {text}.")


def _marks(axes: Axes, values: Mapping[str, float]) -> None:
    for place, (label, value) in enumerate(values.items()):
        style = ("-", "--", ":", "-.")[place % 4] if len(values) > 1 else "--"
        if np.isfinite(value):
            axes.axvline(value, color=COLORS["ink"], linestyle=style, linewidth=1.3, label=label)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if any(map(np.isfinite, values.values())):
        axes.figure.legend(loc="outside upper left", ncols=3, fontsize=8.5, borderpad=0, columnspacing=1.2)


def _edges(finite: np.ndarray, marks: Mapping[str, float]) -> list[float] | int:
    """Bins narrow enough to show how the values are spread, and wide enough to be seen beside marks far away."""
    if not finite.size:
        return _BINS
    low, high = finite.min(), finite.max()
    seen = [low, high, *filter(np.isfinite, marks.values())]
    width = max((high - low) / _BINS, (max(seen) - min(seen)) / (2 * _BINS))
    if width <= np.finfo(float).eps * max(abs(low), abs(high)):
        return _BINS
    # A little wider, so that rounding leaves the outermost value inside.
    width *= 1 + 1e-9
    number_of = math.ceil((high - low) / width) or 1
    return ((low + high - number_of * width) / 2 + width * np.arange(number_of + 1)).tolist()


def _finite(values: Tensor) -> np.ndarray:
    array = values.detach().cpu().double().numpy()
    return array[np.isfinite(array)]


def _left_out(values: Tensor) -> str:
    missing = int((~values.isfinite()).sum())
    return f", {count(missing)} not finite left out" if missing else ""


def _spread(values: np.ndarray) -> str:
    if not values.size:
        return "no finite value"
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"median {number(middle)}, from {number(low)} to {number(high)}"
