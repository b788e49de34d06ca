"""The settings and scores of one run, read from an untrusted run folder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palimpsest.comparison.columns import COLUMNS
from palimpsest.display import escape_control_characters
from palimpsest.errors import RunError
from palimpsest.metrics import Metrics
from palimpsest.registry import DEFENSES
from palimpsest.runs import MANIFEST, read_manifest, total_seconds

_LONGEST = 200


@dataclass(frozen=True)
class ComparedRun:
    """The settings and scores of one run.

    Args:
        folder: The run folder.
        what: The main settings by name: data, model, unlearning, defenses, attack and seed.
        values: Scores by the names of `COLUMNS`. Scores that the run does not have are absent.
        intervals: 95 % intervals of the scores that have one.
        seconds: Total running time of its stages, in seconds.
        finished: Whether the run is complete.
        chances: Expected scores of a random guess, for the scores that have one.
        purged: Whether its models, proofs and images were removed.
        verdict: The verdict on the run; empty if it has none.
    """

    folder: Path
    what: dict[str, str]
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    seconds: float
    finished: bool
    chances: dict[str, float] = field(default_factory=dict[str, float])
    purged: bool = False
    verdict: str = ""


def read_run(folder: Path) -> ComparedRun:
    """Read the settings and scores of a run.

    Args:
        folder: The run folder.

    Raises:
        RunError: The folder is not a run folder, or it is damaged.
    """
    if not (folder / MANIFEST).is_file():
        raise RunError(f"{folder} holds no run (it has no {MANIFEST}). Pass the run folder itself.")
    manifest = read_manifest(folder)
    assert manifest is not None, "the manifest was there a moment ago"
    path = folder / "metrics.json"
    metrics = Metrics.load(path) if path.exists() else None
    readings = {column.name: column.read(metrics) for column in COLUMNS} if metrics else {}
    found = {name: reading for name, reading in readings.items() if reading is not None}
    try:
        what = _what(manifest["config"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder / MANIFEST} does not hold the configuration of a run. Choose another folder."
        ) from error
    return ComparedRun(
        folder=folder,
        what={name: escape_control_characters(text[:_LONGEST]) for name, text in what.items()},
        values={name: reading.value for name, reading in found.items()},
        intervals={name: reading.interval for name, reading in found.items() if reading.interval},
        seconds=total_seconds(manifest),
        finished=metrics is not None,
        purged=manifest.get("purged", False),
        chances={name: reading.chance for name, reading in found.items() if reading.chance is not None},
        verdict=metrics.verdict.grade.value if metrics and metrics.verdict else "",
    )


def find_runs(folder: Path) -> Iterator[Path]:
    """Yield the run folders under a folder, including the folder itself, ordered by path."""
    if (folder / MANIFEST).is_file():
        yield folder
        return
    yield from sorted(path.parent for path in folder.rglob(MANIFEST))


def _what(config: dict[str, Any]) -> dict[str, str]:
    # An attack on artifacts names the images and the model directly, and has no federation.
    data, model, unlearning = config.get("data"), config.get("model"), config.get("unlearning")
    defenses = ", ".join(_defense(defense) for defense in config.get("defenses") or ()) or "none"
    return {
        "data": str(data["name"] if data else config.get("auxiliary")),
        "model": str(model["name"] if isinstance(model, dict) else model),
        "unlearning": f"{unlearning['scenario']}, {unlearning['method']}" if unlearning else "supplied",
        "defenses": defenses,
        "attack": str(config["attack"]["name"]),
        "seed": str(config.get("seed", "–")),
    }


def _defense(defense: dict[str, Any]) -> str:
    """Return a defense's name and the settings that differ from the defaults."""
    known = DEFENSES.get(defense["name"]).model_fields if defense["name"] in DEFENSES.names() else {}
    settings = ", ".join(
        f"{name} {value}"
        for name, value in defense.items()
        if name != "name" and (name not in known or known[name].default != value)
    )
    return f"{defense['name']} ({settings})" if settings else str(defense["name"])
