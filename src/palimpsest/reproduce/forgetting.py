"""Forgetting study: what each unlearning method leaves behind, on two data sets and at several levels of training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from palimpsest.errors import PalimpsestError, ReproductionError
from palimpsest.registry import METHODS
from palimpsest.reproduce.forgetting_figure import draw_curves, save_figure
from palimpsest.reproduce.forgetting_rows import ORIGINAL, ForgettingRow, make_row
from palimpsest.reproduce.forgetting_run import Measurements, measure_run
from palimpsest.reproduce.forgetting_settings import (
    PAIRS,
    SETTINGS,
    SHADOWS,
    UNLEARNED_SHADOWS,
    Choice,
    choose,
)
from palimpsest.reproduce.forgetting_table import as_json, markdown
from palimpsest.storage import write_json, write_text


def forgetting_study(
    *,
    out: Path,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (1234,),
    overrides: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    console: Console | None = None,
    command: str = "palimpsest reproduce forgetting",
) -> list[ForgettingRow]:
    """Measure every unlearning method in two levels of training on two data sets.

    Args:
        out: Folder of the tables, with a run folder for each setting and seed, whose finished stages are reused.
        cells: Names of cells such as `mnist-paper/ascent`, or of settings, with wildcards; empty means all cells.
        seeds: Seeds of the repeated runs.
        overrides: Configuration keys to set in every setting.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for progress and failures; if omitted, nothing is printed.
        command: The command that reproduces the tables, which they show.

    Returns:
        For each setting, the row of the original model and a row for each method.

    Raises:
        ConfigurationError: A pattern in `cells` matches no cell.
        ReproductionError: No cell could be computed; the tables give each reason.
    """
    rows = measure_all(
        "forgetting",
        "How well each method forgets",
        choose(SETTINGS, METHODS.names(), cells),
        out=out,
        seeds=seeds,
        overrides=overrides or {},
        data_dir=data_dir,
        console=console,
        command=command,
    )
    done = [row for row in rows if row.seeds]
    if done:
        save_figure(draw_curves(done), out / "forgetting")
    return rows


def measure_all(
    name: str,
    title: str,
    choices: Sequence[Choice],
    *,
    out: Path,
    seeds: Sequence[int],
    overrides: Mapping[str, Any],
    data_dir: Path | None,
    console: Console | None,
    command: str,
) -> list[ForgettingRow]:
    """Measure the chosen cells, and write the tables after every setting, so that finished rows can be read early.

    Args:
        name: Name of the files.
        title: Title of the page.
        choices: Settings and methods.
        out: Folder of the tables and of the runs.
        seeds: Seeds of the repeated runs.
        overrides: Configuration keys to set in every setting.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for progress and failures; if omitted, nothing is printed.
        command: The command that the page shows.

    Returns:
        For each setting, the row of the original model and a row for each method.

    Raises:
        ReproductionError: No cell could be computed; the tables give each reason.
    """
    output = console or Console(quiet=True)
    rows = list[ForgettingRow]()
    for choice in choices:
        runs, failure = dict[int, Measurements](), ""
        for seed in seeds:
            output.print(f"[bold]{choice.setting.name}[/bold], seed {seed}", highlight=False)
            try:
                runs[seed] = measure_run(
                    choice.setting.config(overrides, seed),
                    choice.methods,
                    folder=out / choice.setting.name / f"seed-{seed}",
                    shadows=SHADOWS,
                    unlearned_shadows=UNLEARNED_SHADOWS,
                    pairs=PAIRS,
                    data_dir=data_dir,
                    console=console,
                )
            except PalimpsestError as error:
                failure = str(error)
                output.print(f"  {failure}", highlight=False, markup=False)
        rows += _rows(choice, runs, failure)
        write_json(out / f"{name}.json", as_json(rows, title=title, shadows=SHADOWS))
        write_text(out / f"{name}.md", markdown(rows, title=title, command=command, shadows=SHADOWS))
    if not any(row.seeds for row in rows):
        raise ReproductionError(f"No cell could be computed. The first reason: {rows[0].failure}")
    return rows


def _rows(choice: Choice, runs: Mapping[int, Measurements], failure: str) -> list[ForgettingRow]:
    """Return the rows of one setting."""
    setting = choice.setting.name
    exact = {seed: run.methods["retrain"] for seed, run in runs.items() if "retrain" in run.methods}
    seconds = {seed: measured.seconds for seed, measured in exact.items()}
    rows = [make_row(setting, ORIGINAL, exact, seconds=seconds, failure=failure)]
    for method in choice.methods:
        measured = {seed: run.methods[method] for seed, run in runs.items() if method in run.methods}
        reasons = [run.failures[method] for run in runs.values() if method in run.failures]
        rows.append(
            make_row(setting, method, measured, seconds=seconds, failure=reasons[-1] if reasons else failure)
        )
    return rows
