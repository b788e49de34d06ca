"""From a study to its table and picture: every cell is an audit, and none is computed twice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from palimpsest.config import AuditConfig
from palimpsest.errors import PalimpsestError, RunError
from palimpsest.metrics import Metrics
from palimpsest.pipeline.audit import audit
from palimpsest.registry import METHODS
from palimpsest.reproduce.pictures import draw
from palimpsest.reproduce.study import Study
from palimpsest.reproduce.summary import Summary, as_json, markdown, summarize
from palimpsest.storage import write_json, write_text


def reproduce(
    study: Study,
    *,
    out: Path,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (1234,),
    overrides: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    console: Console | None = None,
    command: str = "",
) -> list[Summary]:
    """Run a study's cells and write its table as Markdown and JSON, and its picture as PNG and SVG.

    Args:
        study: What to make.
        out: The folder: a run folder for each cell and seed, and the table. What is finished there is kept, and cells
            share what they have in common, such as the training; where the folder bears the study's name, also with
            other studies in folders of their names beside it.
        cells: Names of cells, with wildcards; none for all.
        seeds: Seeds of the repeats.
        overrides: Keys that every cell shall have.
        data_dir: A folder that mirrors the data sets.
        console: Where stages print their lines.
        command: What the table says makes it again.

    Returns:
        A summary for each chosen cell; one that could not be computed says why, and the others go on.
    """
    chosen = study.choose(cells)
    say = console or Console(quiet=True)
    finished = _other_studies(out) if out.name == study.name else []

    summaries: list[Summary] = []
    for cell in chosen:
        metrics: dict[int, Metrics] = {}
        failure = ""
        for seed in seeds:
            try:
                say.print(f"[bold]{cell.name}[/bold], seed {seed}", highlight=False)
                folder, config = out / cell.name / f"seed-{seed}", cell.config(overrides or {}, seed)
                metrics[seed] = _run(config, folder, data_dir=data_dir, finished=finished, console=console)
                finished.insert(0, folder)
            except PalimpsestError as error:
                failure = str(error)
                say.print(f"  {failure}", highlight=False, markup=False)
        summaries.append(summarize(cell, metrics, failure, columns=study.columns))
        # After every cell: what is there already can be read while the rest is computed.
        write_json(out / f"{study.name}.json", as_json(study, summaries))
        write_text(out / f"{study.name}.md", markdown(study, summaries, command))
    draw(study, summaries, out, data_dir=data_dir)
    return summaries


def _run(
    config: AuditConfig,
    folder: Path,
    *,
    data_dir: Path | None,
    finished: Sequence[Path],
    console: Console | None,
) -> Metrics:
    """One audit's metrics; a finished run is not computed again."""
    metrics = _finished(folder, config)
    if metrics is not None:
        return metrics
    # The clients' stored updates lie beside the stages, and are not shared with them.
    shares = not METHODS.get(config.unlearning.method).needs_history
    siblings = finished if shares else ()
    return audit(
        config, out=folder, data_dir=data_dir, replace=True, siblings=siblings, console=console
    ).metrics


def _other_studies(out: Path) -> list[Path]:
    """The finished runs of studies that were made beside this one."""
    tables = [path for path in out.resolve().parent.glob("*/*.json") if path.stem == path.parent.name]
    folders = [folder for table in tables for folder in table.parent.glob("*/seed-*")]
    return sorted(folder for folder in folders if (folder / "metrics.json").exists())


def _finished(folder: Path, config: AuditConfig) -> Metrics | None:
    """The metrics of a run that was finished with this configuration."""
    path, stored = folder / "metrics.json", folder / "config.yaml"
    if not path.exists() or not stored.exists() or stored.read_text(encoding="utf-8") != config.to_yaml():
        return None
    try:
        return Metrics.load(path)
    # A damaged file is computed again.
    except RunError:
        return None
