"""Figures of a study as PNG and SVG: bars, curves, a gallery, defenses, regimes of attacks, or aggregates."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from palimpsest.attacks import Reconstruction
from palimpsest.config import read_config
from palimpsest.datasets import load_data
from palimpsest.report.drawing import drawing_settings, new_figure
from palimpsest.reproduce.aggregates_figure import draw_aggregates
from palimpsest.reproduce.frontier import draw_frontier
from palimpsest.reproduce.regimes_figure import draw_regimes
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import SCORES, Estimate, Summary
from palimpsest.storage import written_whole
from palimpsest.unlearning import Unlearning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_OURS, _PAPER = "#0000a0", "#a00000"
_SERIES = (_OURS, _PAPER, "#00803c", "#777777", "#b06000", "#008080")
_SHOWN = 12


def draw(
    study: Study, summaries: Sequence[Summary], out: Path, *, data_dir: Path | None = None
) -> list[Path]:
    """Draw a study's finished cells.

    Args:
        study: The study.
        summaries: Results of its cells; failed cells are left out.
        out: The study's folder, which holds a run folder for each cell and seed.
        data_dir: A folder that mirrors the data sets, from which a gallery loads the originals. None means the default
            folder.

    Returns:
        The files that were written; empty if no cell is finished.
    """
    done = [summary for summary in summaries if summary.seeds]
    if not done:
        return []
    if study.picture == "gallery":
        figure = _gallery(study, done, out, data_dir)
    elif study.picture == "frontier":
        figure = draw_frontier(study, done)
    elif study.picture == "regimes":
        figure = draw_regimes(study, done)
    elif study.picture == "aggregates":
        figure = draw_aggregates(study, done)
    elif study.picture == "curve":
        figure = _curves(study, done)
    else:
        figure = _bars(study, done)
    return [_write(figure, out / f"{study.name}.{kind}") for kind in ("png", "svg")]


def _bars(study: Study, summaries: Sequence[Summary]) -> "Figure":
    """Draw the mean squared error of each cell with its interval and the published value."""
    figure = new_figure(7, 1.2 + 0.32 * len(summaries))
    axes = figure.subplots()
    places = range(len(summaries))
    for place, summary in zip(places, summaries, strict=True):
        _point(axes, summary.scores["mse"], place)
        if summary.cell.published:
            axes.plot(summary.cell.published.mse, place, "|", color=_PAPER, markersize=14, markeredgewidth=2)
    axes.set_yticks(list(places), [summary.cell.name for summary in summaries])
    axes.invert_yaxis()
    # Autoscaling would cut the last mark in half.
    axes.set_xlim(0, 1.06 * axes.dataLim.x1)
    axes.grid(axis="x", linewidth=0.4)
    axes.set_xlabel("mean squared error (lower is a closer reconstruction)")
    axes.set_title(study.title, loc="left", fontsize=11)
    axes.plot([], [], "o", color=_OURS, label="this run")
    if any(summary.cell.published for summary in summaries):
        axes.plot([], [], "|", color=_PAPER, markersize=12, markeredgewidth=2, label="paper")
    axes.legend(frameon=False, loc="best")
    return figure


def _point(axes: "Axes", score: Estimate, place: int) -> None:
    if score.low is not None and score.high is not None:
        axes.plot([score.low, score.high], [place, place], color=_OURS, linewidth=1.5)
    axes.plot(score.mean, place, "o", color=_OURS)


def _curves(study: Study, summaries: Sequence[Summary]) -> "Figure":
    """Draw each score over the study's axis, one curve for each series."""
    names = [name for name in SCORES if all(name in summary.scores for summary in summaries)]
    figure = new_figure(2.6 * len(names), 2.8)
    series = list(dict.fromkeys(summary.cell.series for summary in summaries))
    for name, axes in zip(names, figure.subplots(1, len(names), squeeze=False)[0], strict=True):
        for label, color in zip(series, cycle(_SERIES)):
            _curve(axes, [summary for summary in summaries if summary.cell.series == label], name, color)
        axes.set_title(SCORES[name][0], fontsize=10)
        axes.set_xlabel(study.axis)
        axes.grid(linewidth=0.4)
        if study.log_axis:
            axes.set_xscale("log")
    if series != [""]:
        figure.axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(study.title, fontsize=11)
    return figure


def _curve(axes: "Axes", summaries: Sequence[Summary], name: str, color: str) -> None:
    """Draw one series of a score with its intervals."""
    places = [summary.cell.position or 0.0 for summary in summaries]
    scores = [summary.scores[name] for summary in summaries]
    axes.plot(places, [score.mean for score in scores], "o-", color=color, label=summaries[0].cell.series)
    lows = [score.low for score in scores if score.low is not None]
    highs = [score.high for score in scores if score.high is not None]
    if len(lows) == len(highs) == len(scores):
        axes.fill_between(places, lows, highs, color=color, alpha=0.15, linewidth=0)


def _gallery(study: Study, summaries: Sequence[Summary], out: Path, data_dir: Path | None) -> "Figure":
    """Draw the first forgotten images and, below them, the reconstructions of each cell."""
    rows: list[tuple[str, Tensor]] = []
    for summary in summaries:
        folder = out / summary.cell.name / f"seed-{summary.seeds[0]}"
        originals = _originals(folder, data_dir)
        if not any(originals.shape == images.shape and originals.equal(images) for _, images in rows):
            rows.append(("original", originals))
        for attacker in ("-undefended", "-non-adaptive", ""):
            path = folder / f"reconstructions{attacker}.safetensors"
            if path.exists():
                name = f"{summary.cell.name}{attacker.replace('-', ', ', 1)}"
                rows.append((name, Reconstruction.load(path).images[:_SHOWN]))
    figure = new_figure(1.6 + 0.7 * _SHOWN, 0.4 + 0.75 * len(rows))
    grid = figure.subplots(len(rows), _SHOWN, squeeze=False)
    for (name, images), line in zip(rows, grid, strict=True):
        for place, axes in enumerate(line):
            axes.axis("off")
            if place < len(images):
                axes.imshow(images[place].permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1)
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    figure.suptitle(study.title, fontsize=11)
    return figure


def _originals(folder: Path, data_dir: Path | None) -> Tensor:
    config = read_config(folder / "config.yaml")
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    return data.train.images[Unlearning.load(folder / "unlearned.safetensors").forgotten[:_SHOWN]]


def _write(figure: "Figure", path: Path) -> Path:
    # A gallery shows private images, so the file is readable by its owner only, like all files of a run.
    with written_whole(path) as temporary, drawing_settings({"svg.hashsalt": path.name}):
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(temporary, format=path.suffix[1:], dpi=160, metadata=metadata)
    return path
