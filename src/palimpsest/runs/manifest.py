"""The manifest of a run folder: configuration, versions and finished stages, validated when read."""

import json
import math
from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from palimpsest.config import AuditConfig, RunConfig, validate
from palimpsest.errors import RunError
from palimpsest.storage import file_hash

MANIFEST = "manifest.json"
FORMAT = 1
"""Version of the folder's layout. Older manifests without it have this layout too."""

_LARGEST, _LONGEST_VALUE = 2**24, 80


class FinishedStage(TypedDict):
    """The record of a finished stage in the manifest."""

    key: str
    inputs: list[str]
    sha256: str
    bytes: int
    seconds: float
    peak_memory_mib: int


class Manifest(TypedDict):
    """The contents of `manifest.json`."""

    format: NotRequired[int]
    kind: NotRequired[str]
    config: dict[str, Any]
    versions: dict[str, str]
    threads: int
    stages: dict[str, FinishedStage]
    purged: NotRequired[bool]
    seconds: NotRequired[float]


_MANIFEST = TypeAdapter(Manifest)


def read_manifest(folder: Path, kind: type[RunConfig] | None = None) -> Manifest | None:
    """Read the manifest of a run folder.

    Args:
        folder: The run folder.
        kind: The type of configuration that the manifest must hold. If omitted, any is accepted.

    Returns:
        The manifest, or None if nothing has been run in the folder yet.

    Raises:
        RunError: The folder holds something else, or a manifest that is damaged or of another version.
    """
    path = folder / MANIFEST
    if not path.exists():
        unexpected = [item.name for item in folder.iterdir() if not item.name.startswith(".")]
        # A run that was killed between its first two files has only the configuration.
        if unexpected not in ([], ["config.yaml"]):
            raise RunError(
                f"{folder} is not empty and holds no run (found {unexpected[0]}). Choose another --out."
            )
        return None
    try:
        tree = read_json(path)
        version = tree.get("format", FORMAT)
        if version != FORMAT:
            raise ValueError(f"its format is {str(version)[:80]!r}, but this version reads {FORMAT}")
        manifest = _MANIFEST.validate_python(tree, strict=True)
        found = manifest.get("kind", AuditConfig.__name__)
        if kind is None:
            return manifest
        if found == kind.__name__:
            # Reading a folder must not import the modules that its configuration names.
            validate(kind, manifest["config"], where=str(path), imports=False)
            return manifest
    # Deeply nested JSON, or JSON of other types, raises errors of many types.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"{path} is damaged or of another version ({reason}). Choose another --out, or resume with the version "
            "that wrote it."
        ) from error
    raise RunError(
        f"{folder} holds a run of another command (its configuration is {found[:80]}). Choose another --out."
    )


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder: at most 16 MiB, with finite numbers.

    Raises:
        ValueError: The file is something else. Deeply nested JSON can also raise other errors.
    """
    if not path.is_file():
        raise ValueError("it is not a regular file")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    return json.loads(path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    """Parse a number. JSON has no infinity and no NaN, although Python's parser accepts them and 1e999."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is not a finite number")
    return number


def total_seconds(manifest: Manifest) -> float:
    """Return the running time of all stages in seconds, including those whose files were purged."""
    return manifest.get("seconds", sum(stage["seconds"] for stage in manifest["stages"].values()))


def finished_stage(folder: Path, manifest: Manifest | None, name: str, digest: str) -> FinishedStage | None:
    """Return the record of a stage if it was computed from the same inputs and its file is intact."""
    known = manifest["stages"].get(name) if manifest else None
    path = folder / f"{name}.safetensors"
    if known and known["key"] == digest and path.is_file() and file_hash(path) == known["sha256"]:
        return known
    return None


def changed_keys(manifest: Manifest | None, config: RunConfig) -> list[str]:
    """Describe where a configuration differs from that of the finished stages; empty if no stage is finished."""
    if not manifest or not manifest["stages"]:
        return []
    before, now = _flat(manifest["config"]), _flat(config.model_dump(mode="json"))
    names = sorted(name for name in before | now if before.get(name) != now.get(name))
    return [
        f"{name}: {_short(before.get(name))} in the folder, {_short(now.get(name))} now" for name in names
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
