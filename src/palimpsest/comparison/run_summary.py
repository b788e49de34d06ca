"""One of many runs: what it was, and what came out; read as if a stranger wrote it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palimpsest.comparison.columns import COLUMNS
from palimpsest.display import escape_control_characters
from palimpsest.errors import RunError
from palimpsest.metrics import Metrics
from palimpsest.registry import DEFENSES
from palimpsest.runs import MANIFEST, read_manifest

_LONGEST = 200


@dataclass(frozen=True)
class ComparedRun:
    """One run.

    Args:
        folder: Where it stands.
        what: Data, model, unlearning, defenses and attack, by name.
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
    metrics = Metrics.load(path) if path.exists() else None
    readings = {column.name: column.read(metrics) for column in COLUMNS} if metrics else {}
    found = {name: reading for name, reading in readings.items() if reading is not None}
    seconds = sum(stage["seconds"] for stage in manifest["stages"].values())
    try:
        what = _what(manifest["config"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder / MANIFEST} holds no configuration of a run: choose another folder."
        ) from error
    return ComparedRun(
        folder=folder,
        what={name: escape_control_characters(text[:_LONGEST]) for name, text in what.items()},
        values={name: reading.value for name, reading in found.items()},
        intervals={name: reading.interval for name, reading in found.items() if reading.interval},
        seconds=seconds,
        finished=metrics is not None,
        chances={name: reading.chance for name, reading in found.items() if reading.chance is not None},
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
        "defenses": defenses,
        "attack": str(config["attack"]["name"]),
        "seed": str(config.get("seed", "–")),
    }


def _defense(one: dict[str, Any]) -> str:
    """A defense's name, and what of its settings is not the default."""
    usual = DEFENSES.get(one["name"]).model_fields if one["name"] in DEFENSES.names() else {}
    settings = ", ".join(
        f"{name} {value}"
        for name, value in one.items()
        if name != "name" and (name not in usual or usual[name].default != value)
    )
    return f"{one['name']} ({settings})" if settings else str(one["name"])
