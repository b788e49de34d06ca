"""One of many runs: what it was, and what came out; read as if a stranger wrote it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from palimpsest.comparison.columns import COLUMNS
from palimpsest.display import printable
from palimpsest.errors import RunError
from palimpsest.registry import DEFENSES
from palimpsest.runs import MANIFEST, read_json, read_manifest

T = TypeVar("T")
_LONGEST, _LARGEST = 200, 1e300


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
