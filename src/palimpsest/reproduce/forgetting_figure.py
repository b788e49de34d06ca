"""Figures of the forgetting study: ROC curves on logarithmic axes, and the axis of training levels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palimpsest.metrics.roc import Roc
from palimpsest.registry import VERIFIERS
from palimpsest.report.drawing import drawing_settings, new_figure
from palimpsest.reproduce.forgetting_rows import ORIGINAL, ForgettingRow
from palimpsest.reproduce.forgetting_settings import Setting
from palimpsest.reproduce.summary import Estimate
from palimpsest.storage import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = (
    "#000000",
    "#0000a0",
    "#a00000",
    "#00803c",
    "#b06000",
    "#777777",
    "#008080",
    "#800080",
    "#c09000",
    "#4060ff",
)
_LINES = ("-", "--", ":")
_PANEL = 3.4
_Point = tuple[int, Estimate]


def draw_curves(rows: Sequence[ForgettingRow]) -> "Figure":
    """Draw the ROC curves of each method on the forgotten samples, a panel for each setting.

    Args:
        rows: Rows of all settings with at least one seed.

    Returns:
        The figure: U-LiRA on the unlearned models, LiRA on the original one.
    """
    settings = list(dict.fromkeys(row.setting for row in rows))
    figure = new_figure(_PANEL * len(settings) + 1.6, 3.6)
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for axes, setting in zip(panels, settings, strict=True):
        for index, row in enumerate(row for row in rows if row.setting == setting):
            test = "lira" if row.method == ORIGINAL else "u-lira"
            _draw_curve(axes, row.curves[test], index, row.method)
        smallest = 1 / max(row.curves["lira"].nonmembers for row in rows if row.setting == setting)
        axes.plot([smallest, 1], [smallest, 1], color="#aaaaaa", linewidth=1, label="chance")
        axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1), title=setting)
        axes.set_xlabel("false positive rate")
        axes.grid(linewidth=0.4)
    panels[0].set_ylabel("true positive rate")
    panels[-1].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_levels(
    rows: Sequence[ForgettingRow],
    leaks: Mapping[tuple[str, str], Mapping[str, Estimate]],
    settings: Sequence[Setting],
) -> "Figure":
    """Draw accuracy, forgetting, membership, leak and the verifiers' areas against the local epochs.

    Args:
        rows: Rows with at least one seed.
        leaks: Numbers of the leak by setting and method.
        settings: Settings of the rows.

    Returns:
        The figure: accuracies of the original model, accuracy on the forgotten samples, membership tests, error and
        identification of the attack on the proofs, and the smallest area of each verifier on exact retraining.
    """
    epochs = {setting.name: setting.local_epochs for setting in settings}
    figure = new_figure(3 * _PANEL, 6.4)
    (accuracy, forgetting, membership), (error, identified, verifiers) = figure.subplots(2, 3)
    methods = list(dict.fromkeys(row.method for row in rows))
    original = [row for row in rows if row.method == ORIGINAL]
    for index, name in enumerate(("retained", "forgotten", "test")):
        _draw_level(accuracy, _points(original, name, epochs), index, name)
    for index, method in enumerate(methods):
        chosen = [row for row in rows if row.method == method]
        _draw_level(forgetting, _points(chosen, "forgotten", epochs), index, method)
        test = "lira" if method == ORIGINAL else "u-lira"
        _draw_level(membership, _points(chosen, f"forgotten {test} AUC", epochs), index, method)
        for axes, name in ((error, "mse"), (identified, "identified")):
            _draw_level(axes, _leak_points(leaks, method, name, epochs), index, method)
    first = methods[1] if len(methods) > 1 else methods[0]
    _draw_level(error, _leak_points(leaks, first, "mean image", epochs), len(methods), "mean image")
    checks = [name for name, _ in VERIFIERS]
    for index, name in enumerate(checks):
        _draw_level(verifiers, _leak_points(leaks, first, name, epochs), index, name)
    for axes in (membership, verifiers):
        axes.axhline(0.5, color="#aaaaaa", linewidth=1)
    for axes, title in (
        (accuracy, "accuracy of the original model"),
        (forgetting, "accuracy on the forgotten samples"),
        (membership, "membership AUC (LiRA, U-LiRA)"),
        (error, "MSE of the images from the proofs"),
        (identified, "share identified from the proofs"),
        (verifiers, f"verifiers: smallest AUC ({first})"),
    ):
        axes.set(xscale="log", title=title, xlabel="local epochs in each round")
        ticks = sorted(epochs.values())
        axes.set_xticks(ticks, [str(value) for value in ticks], minor=False)
        axes.minorticks_off()
        axes.grid(linewidth=0.4)
        axes.legend(frameon=False, fontsize=7)
    return figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG and SVG.

    Args:
        figure: The figure.
        path: Path without an ending.
    """
    for kind in ("png", "svg"):
        # A fixed salt and no date keep the file the same from run to run.
        with (
            drawing_settings({"svg.hashsalt": "palimpsest"}),
            written_whole(path.with_suffix(f".{kind}")) as file,
        ):
            figure.savefig(file, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})


def _draw_curve(axes: "Axes", curve: Roc, index: int, label: str) -> None:
    axes.plot(
        curve.false_positives,
        curve.true_positives,
        color=_COLORS[index % len(_COLORS)],
        linestyle=_LINES[index // len(_COLORS) % len(_LINES)],
        linewidth=1.2,
        label=label,
    )


def _points(rows: Sequence[ForgettingRow], name: str, epochs: Mapping[str, int]) -> list[_Point]:
    return [(epochs[row.setting], row.numbers[name]) for row in rows if name in row.numbers]


def _leak_points(
    leaks: Mapping[tuple[str, str], Mapping[str, Estimate]], method: str, name: str, epochs: Mapping[str, int]
) -> list[_Point]:
    return [(epochs[setting], numbers[name]) for (setting, one), numbers in leaks.items() if one == method]


def _draw_level(axes: "Axes", points: Sequence[_Point], index: int, label: str) -> None:
    """Draw the means as a line, and their intervals as bars; nothing if there are no points."""
    if not points:
        return
    color, ordered = _COLORS[index % len(_COLORS)], sorted(points, key=lambda point: point[0])
    axes.plot(
        [place for place, _ in ordered],
        [number.mean for _, number in ordered],
        "o-",
        color=color,
        label=label,
    )
    for place, number in ordered:
        if number.low is not None and number.high is not None:
            axes.plot([place, place], [number.low, number.high], color=color, linewidth=0.8)
