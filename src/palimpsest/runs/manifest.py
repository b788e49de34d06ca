"""What a run folder says about itself: configuration, versions, finished stages; read as if a stranger wrote it."""

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
"""Of the folder's layout. Manifests without it are older and have this layout too."""

_LARGEST, _LONGEST_VALUE = 2**24, 80


class FinishedStage(TypedDict):
    """What is kept of a finished stage beside its file."""

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


_MANIFEST = TypeAdapter(Manifest)


def read_manifest(folder: Path, kind: type[RunConfig] | None = None) -> Manifest | None:
    """The manifest of a run folder, or none where nothing has been run yet.

    Args:
        folder: The run folder.
        kind: Whose configuration it should hold: an audit's, or that of an attack on a case; none for any.

    Raises:
        RunError: The folder holds something else, or a manifest that is damaged or of a later version.
    """
    path = folder / MANIFEST
    if not path.exists():
        strangers = [item.name for item in folder.iterdir() if not item.name.startswith(".")]
        # A run killed between its first two files holds the configuration alone.
        if strangers not in ([], ["config.yaml"]):
            raise RunError(
                f"{folder} is not empty and holds no run ({strangers[0]}, ...): choose another --out."
            )
        return None
    try:
        tree = read_json(path)
        written = tree.get("format", FORMAT)
        if written != FORMAT:
            raise ValueError(f"its format is {str(written)[:80]!r} and this version reads {FORMAT}")
        manifest = _MANIFEST.validate_python(tree, strict=True)
        held = manifest.get("kind", AuditConfig.__name__)
        if kind is None:
            return manifest
        if held == kind.__name__:
            # Reading a folder must not run the modules that its configuration names.
            validate(kind, manifest["config"], where=str(path), imports=False)
            return manifest
    # JSON that is nested deep, or of other types, leads into errors of many types.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"{path} is damaged or of another version ({reason}): choose another --out, or go on there with the "
            "version that wrote it."
        ) from error
    raise RunError(f"{folder} holds a run of another command (its {held[:80]}): choose another --out.")


def read_json(path: Path) -> Any:
    """A file of a run folder, of at most 16 MiB of JSON with finite numbers.

    Raises:
        ValueError: It is something else. JSON that is nested deep leads into other errors too.
    """
    if not path.is_file():
        raise ValueError("it is no regular file")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST:,} bytes")
    return json.loads(path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    """A number of JSON. Infinity and NaN are none, whatever Python's reader makes of them or of 1e999."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is no finite number")
    return number


def finished_stage(folder: Path, manifest: Manifest | None, name: str, digest: str) -> FinishedStage | None:
    """What the manifest says about a stage, if it has these inputs and its file is whole."""
    known = manifest["stages"].get(name) if manifest else None
    path = folder / f"{name}.safetensors"
    if known and known["key"] == digest and path.is_file() and file_hash(path) == known["sha256"]:
        return known
    return None


def changed_keys(manifest: Manifest | None, config: RunConfig) -> list[str]:
    """Where a configuration differs from that of the finished stages; where there are none, nothing can be lost."""
    if not manifest or not manifest["stages"]:
        return []
    before, now = _flat(manifest["config"]), _flat(config.model_dump(mode="json"))
    names = sorted(name for name in before | now if before.get(name) != now.get(name))
    return [f"{name}: {_short(before.get(name))} there, {_short(now.get(name))} here" for name in names]


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
