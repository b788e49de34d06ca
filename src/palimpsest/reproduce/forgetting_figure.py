"""Figures of the forgetting study: ROC curves on logarithmic axes, and the axis of training levels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palimpsest.metrics.roc import Roc
from palimpsest.report.drawing import drawing_settings, new_figure
from palimpsest.reproduce.forgetting_rows import ORIGINAL, ForgettingRow
from palimpsest.reproduce.forgetting_settings import Setting
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


def draw_levels(rows: Sequence[ForgettingRow], settings: Sequence[Setting]) -> "Figure":
    """Draw accuracy, forgetting and membership against the local epochs.

    Args:
        rows: Rows with at least one seed.
        settings: Settings of the rows.

    Returns:
        The figure: accuracies of the original model, accuracy on the forgotten samples, and membership tests.
    """
    epochs = {setting.name: setting.local_epochs for setting in settings}
    figure = new_figure(3 * _PANEL, 3.2)
    accuracy, forgetting, membership = figure.subplots(1, 3)
    methods = list(dict.fromkeys(row.method for row in rows))
    original = [row for row in rows if row.method == ORIGINAL]
    for index, name in enumerate(("retained", "forgotten", "test")):
        _draw_level(accuracy, original, name, epochs, index, name)
    for index, method in enumerate(methods):
        chosen = [row for row in rows if row.method == method]
        _draw_level(forgetting, chosen, "forgotten", epochs, index, method)
        test = "lira" if method == ORIGINAL else "u-lira"
        _draw_level(membership, chosen, f"forgotten {test} AUC", epochs, index, method)
    membership.axhline(0.5, color="#aaaaaa", linewidth=1)
    for axes, title in (
        (accuracy, "accuracy of the original model"),
        (forgetting, "accuracy on the forgotten samples"),
        (membership, "membership AUC (LiRA, U-LiRA)"),
    ):
        axes.set(xscale="log", title=title, xlabel="local epochs in each round")
        axes.set_xticks(
            sorted(epochs.values()), [str(value) for value in sorted(epochs.values())], minor=False
        )
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


def _draw_level(
    axes: "Axes", rows: Sequence[ForgettingRow], name: str, epochs: dict[str, int], index: int, label: str
) -> None:
    color = _COLORS[index % len(_COLORS)]
    points = sorted((epochs[row.setting], row.numbers[name]) for row in rows if name in row.numbers)
    axes.plot(
        [place for place, _ in points], [number.mean for _, number in points], "o-", color=color, label=label
    )
    for place, number in points:
        if number.low is not None and number.high is not None:
            axes.plot([place, place], [number.low, number.high], color=color, linewidth=0.8)
