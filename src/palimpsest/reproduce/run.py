"""Run a study's cells as audits, reuse finished ones, and write its table and figure."""

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
    """Run a study's cells and write its table as Markdown and JSON, and its figure as PNG and SVG.

    Args:
        study: The study.
        out: The folder of the table, with a run folder for each cell and seed. Finished runs are reused, and cells
            share common stages, such as the training. If the folder has the study's name, stages are also shared with
            other studies in sibling folders named after them.
        cells: Names of cells, with wildcards; empty means all cells.
        seeds: Seeds of the repeated runs.
        overrides: Configuration keys to set in every cell; if omitted, the cells are unchanged.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for progress and failures; if omitted, nothing is printed.
        command: The command that reproduces the table, which the table shows.

    Returns:
        A summary for each chosen cell. A cell that failed has the reason in `failure`; the others still run.

    Raises:
        ConfigurationError: A pattern in `cells` matches no cell.
    """
    chosen = study.choose(cells)
    output = console or Console(quiet=True)
    finished = _other_studies(out) if out.name == study.name else []

    summaries: list[Summary] = []
    for cell in chosen:
        metrics: dict[int, Metrics] = {}
        failure = ""
        for seed in seeds:
            try:
                output.print(f"[bold]{cell.name}[/bold], seed {seed}", highlight=False)
                folder, config = out / cell.name / f"seed-{seed}", cell.config(overrides or {}, seed)
                metrics[seed] = _run(config, folder, data_dir=data_dir, finished=finished, console=console)
                finished.insert(0, folder)
            except PalimpsestError as error:
                failure = str(error)
                output.print(f"  {failure}", highlight=False, markup=False)
        summaries.append(summarize(cell, metrics, failure, columns=study.columns))
        # Write after every cell, so that finished rows can be read while the rest is computed.
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
    """Return the metrics of an audit, from its finished run if there is one."""
    metrics = _load_finished(folder, config)
    if metrics is not None:
        return metrics
    # Methods that need the clients' stored updates can't share a training, because the updates are stored outside it.
    can_share = not METHODS.get(config.unlearning.method).needs_history
    siblings = finished if can_share else ()
    return audit(
        config, out=folder, data_dir=data_dir, replace=True, siblings=siblings, console=console
    ).metrics


def _other_studies(out: Path) -> list[Path]:
    """Return the folders of finished runs of sibling studies."""
    tables = [path for path in out.resolve().parent.glob("*/*.json") if path.stem == path.parent.name]
    folders = [folder for table in tables for folder in table.parent.glob("*/seed-*")]
    return sorted(folder for folder in folders if (folder / "metrics.json").exists())


def _load_finished(folder: Path, config: AuditConfig) -> Metrics | None:
    """Return the metrics of a run that finished with this configuration, or None."""
    path, stored = folder / "metrics.json", folder / "config.yaml"
    if not path.exists() or not stored.exists() or stored.read_text(encoding="utf-8") != config.to_yaml():
        return None
    try:
        return Metrics.load(path)
    # The run of a damaged file is repeated.
    except RunError:
        return None
