"""The plots of the report page as PNG and SVG files, for papers and slides."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from palimpsest.report.drawing import drawing_settings, new_figure, whole_numbers
from palimpsest.report.figures import identified_within
from palimpsest.report.inputs import ReportInput
from palimpsest.storage import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_COLUMNS, _ROWS = 12, 3
_INK, _RUBRIC = "#0000a0", "#a00000"


def save_pictures(page: ReportInput, folder: Path) -> list[Path]:
    """Write `gallery` and `training`, and `distributions` and `identification` if there are scores, as PNG and SVG.

    Args:
        page: The contents of the page.
        folder: The folder to write to. Only the owner can read the files.

    Returns:
        The paths of the files.
    """
    figures = {"gallery": _gallery(page)}
    if page.history:
        figures["training"] = _training(page)
    if page.originals is not None:
        figures["distributions"] = _distributions(page)
        if "rank" in page.per_image:
            figures["identification"] = _identification(page.per_image["rank"])
    return [path for name, figure in figures.items() for path in save_figure(figure, folder / name)]


def save_figure(figure: "Figure", path: Path) -> list[Path]:
    """Write a figure as PNG and as SVG.

    Args:
        figure: The figure.
        path: The path of the files, without a suffix. Only the owner can read them.

    Returns:
        The paths of the two files.
    """
    return [_write(figure, path.with_name(f"{path.name}.{kind}")) for kind in ("png", "svg")]


def _gallery(page: ReportInput) -> "Figure":
    """Draw originals above their reconstructions, evenly spread from the best to the worst if scores are known."""
    count = min(_COLUMNS * _ROWS, len(page.reconstructions))
    order = torch.arange(len(page.reconstructions))
    if page.originals is not None:
        order = page.per_image["mse"].argsort()
    chosen = order[torch.linspace(0, len(order) - 1, count).round().long()]
    columns = min(_COLUMNS, count)
    pairs = 2 if page.originals is not None else 1
    rows = -(-count // columns)
    figure = new_figure(0.7 * columns, 0.72 * rows * pairs)
    grid = figure.subplots(rows * pairs, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for index, row in enumerate(chosen.tolist()):
        line, column = divmod(index, columns)
        stacked = [page.originals[row]] if page.originals is not None else []
        for offset, image in enumerate([*stacked, page.reconstructions[row]]):
            _show(grid[line * pairs + offset][column], image)
    return figure


def _show(axes: "Axes", image: Tensor) -> None:
    axes.imshow(image.clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)


def _training(page: ReportInput) -> "Figure":
    figure = new_figure(4.6, 2.8)
    axes = figure.subplots()
    for (name, curve), style in zip(
        page.history.items(), ("-", "--", ":", "-.") * len(page.history), strict=False
    ):
        axes.plot(range(1, len(curve) + 1), curve, style, color=_INK, label=name.replace("_", " "))
    axes.set_xlabel("epoch or iteration")
    axes.set_ylabel("loss or error")
    axes.set_yscale("log")
    axes.grid(linewidth=0.4)
    axes.legend(frameon=False)
    return figure


def _distributions(page: ReportInput) -> "Figure":
    names = [name for name in ("mse", "psnr", "ssim", "lpips") if name in page.per_image]
    figure = new_figure(2.6 * len(names), 2.6)
    for name, axes in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        values = page.per_image[name]
        finite = values[values.isfinite()]
        axes.hist(finite.numpy(), bins=32, color=_INK, alpha=0.8)
        axes.axvline(float(finite.mean()), color=_RUBRIC)
        axes.yaxis.set_major_locator(whole_numbers())
        axes.set_xlabel("PSNR (dB)" if name == "psnr" else name.upper())
    figure.supylabel("number of images", fontsize="medium")
    return figure


def _identification(ranks: Tensor) -> "Figure":
    """Plot the share of images whose original is among the k nearest, against chance."""
    guesses, found = identified_within(ranks)
    figure = new_figure(4.6, 2.8)
    axes = figure.subplots()
    axes.plot(guesses, found, color=_INK, label="this attack")
    axes.plot(guesses, guesses / len(ranks), "--", color=_RUBRIC, label="chance")
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(f"guesses k, out of {len(ranks):,} images")
    axes.set_ylabel("identified within k guesses")
    axes.grid(linewidth=0.4)
    axes.legend(frameon=False)
    return figure


def _write(figure: "Figure", path: Path) -> Path:
    with written_whole(path) as temporary, drawing_settings({"svg.hashsalt": path.name}):
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(temporary, format=path.suffix[1:], dpi=160, metadata=metadata)
    return path
