"""Forgetting by level of training: what is forgotten, what its proofs leak, and what a verifier notices."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from palimpsest.config import merged
from palimpsest.errors import PalimpsestError
from palimpsest.metrics import Metrics, Reading
from palimpsest.pipeline.audit import audit
from palimpsest.registry import VERIFIERS
from palimpsest.reproduce.forgetting import measure_all
from palimpsest.reproduce.forgetting_figure import draw_levels, save_figure
from palimpsest.reproduce.forgetting_rows import ForgettingRow
from palimpsest.reproduce.forgetting_settings import LEVELS, SHADOWS, Choice, choose
from palimpsest.reproduce.forgetting_table import as_json, line, markdown
from palimpsest.reproduce.summary import Estimate, bracket_note, estimate, format_estimate, share_estimate
from palimpsest.storage import write_json, write_text

METHODS = ("retrain", "ascent")
"""Methods that are measured at every level of training."""
_ERRORS = ("mse", "mean image")
_NAME, _TITLE = "forgetting-levels", "Forgetting by level of training"
_ATTACK: dict[str, Any] = {
    "name": "igf",
    "width": 64,
    "blocks": 0,
    "components": 256,
    "explained_variance": 1.0,
    "dropout": 0.4,
    "beta": 0,
    "perceptual_batch": None,
    "epochs": 100,
    "queries": 1,
    "refreshes": 20,
}
"""An attack in proportion to 500 auxiliary images. It is the same at every level."""


@dataclass(frozen=True)
class LeakRow:
    """Leak of the proofs of one method at one level of training, and the verifiers' judgment of them.

    Args:
        setting: Name of the setting.
        method: The unlearning method.
        numbers: Mean of each number over the seeds with its 95 % interval (see `share_estimate`): `mse` and
            `identified` of the attack, `mean image` (the error of the mean auxiliary image), and each verifier's
            smallest area under the ROC curve over the forgers, by the verifier's name.
        failure: Reason why a seed is missing; empty if none is.
    """

    setting: str
    method: str
    numbers: Mapping[str, Estimate]
    failure: str = ""


def level_study(
    *,
    out: Path,
    cells: Sequence[str] = (),
    seeds: Sequence[int] = (1234,),
    overrides: Mapping[str, Any] | None = None,
    data_dir: Path | None = None,
    console: Console | None = None,
    command: str = "palimpsest reproduce forgetting-levels",
) -> tuple[list[ForgettingRow], list[LeakRow]]:
    """Measure retraining and gradient ascent at levels of training from the paper's to a memorizing one.

    See `forgetting_study` for the arguments and errors.

    Returns:
        The rows of the forgetting study, and the rows of the leak.
    """
    choices, keys = choose(LEVELS, METHODS, cells), overrides or {}
    rows = measure_all(
        _NAME,
        _TITLE,
        choices,
        out=out,
        seeds=seeds,
        overrides=keys,
        data_dir=data_dir,
        console=console,
        command=command,
    )
    leaks = [
        _leak_row(choice, method, out=out, seeds=seeds, overrides=keys, data_dir=data_dir, console=console)
        for choice in choices
        for method in choice.methods
    ]
    tree = as_json(rows, title=_TITLE, shadows=SHADOWS)
    write_json(out / f"{_NAME}.json", {**tree, "leaks": [_as_tree(row) for row in leaks]})
    page = markdown(rows, title=_TITLE, command=command, shadows=SHADOWS)
    write_text(out / f"{_NAME}.md", f"{page}\n{leak_table(leaks)}")
    save_figure(
        draw_levels(
            [row for row in rows if row.seeds],
            {(row.setting, row.method): row.numbers for row in leaks if row.numbers},
            [choice.setting for choice in choices],
        ),
        out / _NAME,
    )
    return rows, leaks


def leak_table(rows: Sequence[LeakRow]) -> str:
    """Format the rows of the leak as Markdown.

    Args:
        rows: The rows, in order.
    """
    checks = [name for name, _ in VERIFIERS]
    columns = [("mse", "MSE", ".4f"), ("mean image", "MSE of the mean image", ".4f")]
    columns += [("identified", "identified", ".1%"), *((name, name, ".2f") for name in checks)]
    lines = ["## Leak of the proofs, and the verifiers", ""]
    lines += [
        line(["level", "method", *(heading for _, heading, _ in columns)]),
        line(["---"] * (2 + len(columns))),
    ]
    lines += [
        line(
            [
                row.setting,
                row.method,
                *(format_estimate(row.numbers.get(name), form, missing="") for name, _, form in columns),
            ]
        )
        for row in rows
    ]
    lines += [
        f"\n{row.setting}, {row.method}: {' '.join(row.failure.split())}" for row in rows if row.failure
    ]
    lines += [
        "",
        "Each verifier's column: smallest area under the ROC curve over the forgers; 0.5 is chance.",
        bracket_note(max((len(number.values) for row in rows for number in row.numbers.values()), default=1)),
        "",
    ]
    return "\n".join(lines)


def _leak_row(
    choice: Choice,
    method: str,
    *,
    out: Path,
    seeds: Sequence[int],
    overrides: Mapping[str, Any],
    data_dir: Path | None,
    console: Console | None,
) -> LeakRow:
    """Audit one method at one level with each seed."""
    setting, found, failure = choice.setting, list[dict[str, Reading]](), ""
    attacked = merged({"attack": _ATTACK, "unlearning": {"method": method}}, overrides)
    for seed in seeds:
        folder = out / setting.name / f"audit-{seed}-{method}"
        try:
            config = setting.config(attacked, seed)
            result = audit(config, out=folder, data_dir=data_dir, replace=True, console=console)
            found.append(_numbers(result.metrics))
        except PalimpsestError as error:
            failure = str(error)
    if not found:
        return LeakRow(setting.name, method, {}, failure)
    values = {name: [one[name].value for one in found] for name in found[0]}
    numbers = {
        name: estimate(values[name])
        if name in _ERRORS
        else share_estimate(values[name], [one[name].interval for one in found])
        for name in values
    }
    return LeakRow(setting.name, method, numbers, failure)


def _numbers(metrics: Metrics) -> dict[str, Reading]:
    assert metrics.reconstruction is not None, "an audit knows the forgotten images"
    assert metrics.soundness is not None, "the attack is on proofs"
    identified = metrics.rate("identification_top1")
    assert identified is not None, "scored images have rates"
    return {
        "mse": Reading(metrics.reconstruction.mse or 0.0),
        "mean image": Reading(metrics.baselines["mean_image"].mse or 0.0),
        "identified": identified,
        **{name: Reading(area, (low, high)) for name, (area, low, high) in metrics.soundness.worst.items()},
    }


def _as_tree(row: LeakRow) -> dict[str, Any]:
    return {
        "name": f"{row.setting}/{row.method}",
        "numbers": {name: asdict(number) for name, number in row.numbers.items()},
        "failure": row.failure,
    }
