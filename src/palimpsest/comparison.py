"""Many runs beside each other: what each was, and what came out; read as if strangers wrote them."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from palimpsest.errors import RunError
from palimpsest.manifest import MANIFEST, read_json, read_manifest
from palimpsest.printable import printable
from palimpsest.registry import DEFENSES
from palimpsest.shown import in_form

T = TypeVar("T")
_LONGEST, _LARGEST = 200, 1e300


@dataclass(frozen=True)
class Column:
    """A number that runs are compared by.

    Args:
        name: Its key in the table's JSON and CSV.
        heading: What stands above it.
        path: Where it stands in `metrics.json`.
        form: How it is printed.
        meaning: What it tells, in a few words.
        better: `low` or `high`.
        interval: Where its 95 % interval stands, if it has one: its two ends, or a mapping with `low` and `high`.
        chance: Where it stands what somebody gets who knows nothing, if that is known.
    """

    name: str
    heading: str
    path: tuple[str | int, ...]
    form: str
    meaning: str
    better: str
    interval: tuple[str | int, ...] = ()
    chance: tuple[str | int, ...] = ()


COLUMNS = (
    Column(
        "mse",
        "MSE",
        ("reconstruction", "mse"),
        ".4f",
        "mean squared error of the reconstructions, pixels in [0, 1]",
        "low",
        ("intervals", "mse"),
    ),
    Column(
        "psnr",
        "PSNR",
        ("reconstruction", "psnr"),
        ".2f",
        "peak signal-to-noise ratio in dB, mean over images",
        "high",
        ("intervals", "psnr"),
    ),
    Column(
        "ssim",
        "SSIM",
        ("reconstruction", "ssim"),
        ".3f",
        "structural similarity, 1 is identical",
        "high",
        ("intervals", "ssim"),
    ),
    Column(
        "lpips",
        "LPIPS",
        ("reconstruction", "lpips"),
        ".3f",
        "learned perceptual distance, 0 is identical",
        "low",
        ("intervals", "lpips"),
    ),
    Column(
        "top1",
        "told apart",
        ("reconstruction", "identification_top1"),
        ".1%",
        "forgotten samples whose reconstruction is nearest to themselves",
        "high",
        ("intervals", "identification_top1"),
        ("chance", "identification_top1"),
    ),
    Column(
        "confirmed",
        "confirmed",
        ("confirmation", "identified"),
        ".1%",
        "proofs that an auditor who holds the samples already matches with theirs",
        "high",
        ("confirmation", "intervals", 0),
        ("confirmation", "chance"),
    ),
    Column(
        "accuracy",
        "accuracy",
        ("federation", "unlearned_accuracy"),
        ".1%",
        "of the unlearned model on test samples",
        "high",
        ("rates", "accuracy_test_unlearned"),
        ("rates", "accuracy_test_unlearned", "chance"),
    ),
)


@dataclass(frozen=True)
class ComparedRun:
    """One run.

    Args:
        folder: Where it stands.
        what: Data, model, unlearning, defences and attack, by name.
        values: The columns' numbers by name; what the run does not have is absent.
        intervals: Their 95 % intervals, where they have one.
        chances: What chance gives, where that is known.
        seconds: What its stages took in all.
        finished: Whether it ran to the end.
    """

    folder: Path
    what: dict[str, str]
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    seconds: float
    finished: bool
    chances: dict[str, float] = field(default_factory=dict[str, float])


def read_run(folder: Path) -> ComparedRun:
    """What a run folder says about itself.

    Raises:
        RunError: It is no run folder, or is damaged.
    """
    if not (folder / MANIFEST).is_file():
        raise RunError(f"{folder} holds no run (it has no {MANIFEST}): name the run folder itself.")
    manifest = read_manifest(folder)
    assert manifest is not None, "the manifest was there a moment ago"
    path = folder / "metrics.json"
    try:
        metrics = read_json(path) if path.exists() else {}
    # JSON that is nested deep leads into errors of several types.
    except Exception as error:
        reason = " ".join(str(error).split())[:_LONGEST]
        raise RunError(f"{path} can't be read ({reason}): run its command again.") from error
    seconds = sum(stage["seconds"] for stage in manifest["stages"].values())
    try:
        what = _what(manifest["config"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder / MANIFEST} holds no configuration of a run: choose another folder."
        ) from error
    return ComparedRun(
        folder=folder,
        what={name: printable(text[:_LONGEST]) for name, text in what.items()},
        values=_known({column.name: _number(_at(metrics, column.path)) for column in COLUMNS}),
        intervals=_known({column.name: _ends(_at(metrics, column.interval)) for column in COLUMNS}),
        seconds=_number(seconds) or 0.0,
        finished=bool(metrics),
        chances=_known({column.name: _number(_at(metrics, column.chance)) for column in COLUMNS}),
    )


def find_runs(folder: Path) -> Iterator[Path]:
    """The run folders under a folder, itself included, in the order of their names."""
    if (folder / MANIFEST).is_file():
        yield folder
        return
    yield from sorted(path.parent for path in folder.rglob(MANIFEST))


def as_markdown(runs: Sequence[ComparedRun]) -> str:
    """The table as Markdown, with intervals."""
    names = run_names(runs)
    shown = [column for column in COLUMNS if any(column.name in run.values for run in runs)]
    heads = ["run", *varying_keys(runs), *(column.heading for column in shown), "seconds"]
    lines = [heads, ["---"] * len(heads)]
    for name, run in zip(names, runs, strict=True):
        numbers = [written(column, run) for column in shown]
        lines.append([name, *(run.what[key] for key in varying_keys(runs)), *numbers, f"{run.seconds:,.0f}"])
    # A bar would end the column.
    rows = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_csv(runs: Sequence[ComparedRun]) -> str:
    """The table as CSV: full numbers, each interval in two columns of its own, and chance in one."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    keys = list(runs[0].what) if runs else []
    heads = [head for column in COLUMNS for head in _csv_heads(column)]
    writer.writerow(["run", *keys, *heads, "seconds"])
    for name, run in zip(run_names(runs), runs, strict=True):
        numbers: list[Any] = []
        for column in COLUMNS:
            numbers.append(run.values.get(column.name, ""))
            if column.interval:
                numbers += run.intervals.get(column.name, ("", ""))
            if column.chance:
                numbers.append(run.chances.get(column.name, ""))
        writer.writerow([name, *run.what.values(), *numbers, round(run.seconds, 3)])
    return buffer.getvalue()


def as_json(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """The table as plain values."""
    return [
        {
            "run": name,
            **run.what,
            **run.values,
            "intervals": {key: list(ends) for key, ends in run.intervals.items()},
            "chance": run.chances,
            "seconds": run.seconds,
            "finished": run.finished,
        }
        for name, run in zip(run_names(runs), runs, strict=True)
    ]


def written(column: Column, run: ComparedRun) -> str:
    """One number of one run, with its interval, and with what chance gives where that is known."""
    value, interval, chance = written_apart(column, run)
    told = "; ".join(filter(None, [interval, chance]))
    return f"{value} ({told})" if told else value


def written_apart(column: Column, run: ComparedRun) -> tuple[str, str, str]:
    """One number of one run, the ends of its interval, and what chance gives; what is not known is empty."""
    value = run.values.get(column.name)
    if value is None:
        return "–", "", ""
    ends, chance = run.intervals.get(column.name), run.chances.get(column.name)
    return (
        in_form(value, column.form),
        " to ".join(in_form(end, column.form) for end in ends) if ends else "",
        f"chance {in_form(chance, column.form)}" if chance is not None else "",
    )


def varying_keys(runs: Sequence[ComparedRun]) -> list[str]:
    """What differs between the runs; all of it for a single run."""
    keys = list(runs[0].what) if runs else []
    return [key for key in keys if len({run.what[key] for run in runs}) > 1] or (
        keys if len(runs) == 1 else []
    )


def run_names(runs: Sequence[ComparedRun]) -> list[str]:
    """What of the runs' paths tells them apart, without what all of them begin or end with."""
    parts = [run.folder.resolve().parts for run in runs]
    if len(parts) == 1:
        return [printable(parts[0][-1])]
    while len({one[0] for one in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [one[1:] for one in parts]
    while len({one[-1] for one in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [one[:-1] for one in parts]
    return [printable("/".join(one)) for one in parts]


def _what(config: dict[str, Any]) -> dict[str, str]:
    # An attack on what somebody brought names its own images and model, and has no federation.
    data, model, unlearning = config.get("data"), config.get("model"), config.get("unlearning")
    defenses = ", ".join(_defense(one) for one in config.get("defenses") or ()) or "none"
    return {
        "data": str(data["name"] if data else config.get("auxiliary")),
        "model": str(model["name"] if isinstance(model, dict) else model),
        "unlearning": f"{unlearning['scenario']}, {unlearning['method']}" if unlearning else "brought",
        "defences": defenses,
        "attack": str(config["attack"]["name"]),
        "seed": str(config.get("seed", "–")),
    }


def _defense(one: dict[str, Any]) -> str:
    """A defence's name, and what of its settings is not the default."""
    usual = DEFENSES.get(one["name"]).model_fields if one["name"] in DEFENSES.names() else {}
    settings = ", ".join(
        f"{name} {value}"
        for name, value in one.items()
        if name != "name" and (name not in usual or usual[name].default != value)
    )
    return f"{one['name']} ({settings})" if settings else str(one["name"])


def _csv_heads(column: Column) -> list[str]:
    ends = [f"{column.name}_low", f"{column.name}_high"] if column.interval else []
    return [column.name, *ends, *([f"{column.name}_chance"] if column.chance else [])]


def _at(tree: Any, path: Sequence[str | int]) -> Any:
    """What stands there, or none; an empty path leads nowhere."""
    for key in path:
        if isinstance(tree, list) and isinstance(key, int) and key < len(tree):
            tree = tree[key]
        elif isinstance(tree, dict):
            tree = tree.get(key)
        else:
            return None
    return tree if path else None


def _number(value: Any) -> float | None:
    """What counts as a number of a table: JSON may hold integers of any length."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        return None
    return float(value)


def _ends(value: Any) -> tuple[float, float] | None:
    if isinstance(value, dict):
        value = [value.get("low"), value.get("high")]
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = map(_number, value)
    return None if low is None or high is None else (low, high)


def _known(found: dict[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in found.items() if value is not None}
