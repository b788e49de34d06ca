"""Remove everything from a run folder that shows samples or from which they could be reconstructed."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from palimpsest.errors import RunError
from palimpsest.runs.folder import lock_folder
from palimpsest.runs.manifest import MANIFEST, Manifest, read_manifest, total_seconds
from palimpsest.storage import write_json, write_text

_KEPT_FILES = frozenset({".lock", "config.yaml", MANIFEST, "metrics.json"})
_KEPT_STAGES = frozenset(
    {"permutation-test", "forgetting", "prior", "retained", "scores", "soundness", "verdicts"}
)


@dataclass(frozen=True)
class Purge:
    """The result of a purge.

    Args:
        removed: Removed files and folders, as paths relative to the run folder.
        bytes: Their total size.
        shared: Removed files that still exist elsewhere, because another run folder has a hard link to them.
        kept: Files that were kept.

    Example:
        >>> result = Purge(removed=("report.html",), bytes=1024, shared=(), kept=("metrics.json",))
        >>> result.removed
        ('report.html',)
    """

    removed: tuple[str, ...]
    bytes: int
    shared: tuple[str, ...]
    kept: tuple[str, ...]


def purge(folder: str | PathLike[str], *, dry_run: bool = False) -> Purge:
    """Remove models, proofs, gradients, reconstructions, the report and unfinished work; keep the scores.

    In a folder of runs, such as a study or a sweep, each run is purged, and the plots beside the tables are removed
    because some of them are galleries. Both models are removed because they reveal nearly as much as the proofs. Links
    are removed, never followed. The indices of forgotten rows are removed from the configuration. Bytes are not
    overwritten, because that guarantees nothing on current disks; use disk encryption.

    Args:
        folder: A run folder that no process is using, or a folder of run folders.
        dry_run: Remove nothing, and only return what would be removed.

    Returns:
        The removed and the kept files.

    Raises:
        RunError: The folder holds no run, another process is using it, or a file can't be removed.

    Example:
        >>> import tempfile
        >>> purge(tempfile.mkdtemp())
        Traceback (most recent call last):
            ...
        palimpsest.errors.RunError: ... holds no run (it has no manifest.json). Pass the run folder itself.
    """
    folder = Path(folder)
    if (folder / MANIFEST).is_file():
        return _purge_run(folder, dry_run=dry_run)
    runs = sorted(path.parent for path in folder.rglob(MANIFEST))
    if not runs:
        raise RunError(f"{folder} holds no run (it has no {MANIFEST}). Pass the run folder itself.")
    purged = {run.relative_to(folder): _purge_run(run, dry_run=dry_run) for run in runs}
    pictures = list(_pictures(folder, runs))
    size = sum(picture.lstat().st_size for picture in pictures)
    if not dry_run:
        for picture in pictures:
            _remove(picture)

    def paths(attribute: str) -> list[str]:
        return [str(run / name) for run, result in purged.items() for name in getattr(result, attribute)]

    return Purge(
        removed=(*paths("removed"), *(str(picture.relative_to(folder)) for picture in pictures)),
        bytes=size + sum(result.bytes for result in purged.values()),
        shared=tuple(paths("shared")),
        kept=tuple(paths("kept")),
    )


def _pictures(folder: Path, runs: list[Path]) -> Iterator[Path]:
    """Yield what shows samples beside the tables of studies and comparisons.

    Those are `<study>.png`, `.svg` and `<study>-samples.html` beside `<study>.json` and `.md`.
    """
    parents = {parent for run in runs for parent in run.parents if parent.is_relative_to(folder)}
    for parent in sorted(parents):
        for table in sorted(parent.glob("*.json")):
            plots = [
                *(table.with_suffix(suffix) for suffix in (".png", ".svg")),
                table.with_name(f"{table.stem}-samples.html"),
            ]
            if table.with_suffix(".md").is_file():
                yield from (picture for picture in plots if picture.is_file() or picture.is_symlink())


def _purge_run(folder: Path, *, dry_run: bool) -> Purge:
    lock = lock_folder(folder)
    try:
        manifest = read_manifest(folder)
        assert manifest is not None, "the caller found a manifest"
        sensitive = [path for path in sorted(folder.iterdir()) if not _is_kept(path)]
        files = [file for path in sensitive for file in _files(path)]
        result = Purge(
            removed=tuple(path.name for path in sensitive),
            bytes=sum(file.lstat().st_size for file in files),
            shared=tuple(str(file.relative_to(folder)) for file in files if file.lstat().st_nlink > 1),
            kept=tuple(path.name for path in sorted(folder.iterdir()) if _is_kept(path)),
        )
        if not dry_run:
            _forget_names(folder, manifest)
            for path in sensitive:
                _remove(path)
        return result
    except OSError as error:
        raise RunError(
            f"{error.filename} can't be removed ({error.strerror}), so the folder is not purged. Fix this and "
            "try again."
        ) from error
    finally:
        os.close(lock)


def _is_kept(path: Path) -> bool:
    """Return whether a file is known to be harmless; files of later versions are not."""
    if path.is_symlink() or path.is_dir():
        return False
    stage = path.stem in _KEPT_STAGES or path.stem.startswith("scores-")
    return path.name in _KEPT_FILES or (stage and path.suffix == ".safetensors")


def _files(path: Path) -> list[Path]:
    if path.is_symlink() or not path.is_dir():
        return [path]
    return [file for file in path.rglob("*") if file.is_symlink() or not file.is_dir()]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _forget_names(folder: Path, manifest: Manifest) -> None:
    """Remove the indices of forgotten rows from the configuration, and removed stages and hashes from the manifest.

    A hash of an image would confirm to anyone who has the image that it was used.
    """
    config: dict[str, Any] = manifest["config"]
    unlearning = config.get("unlearning", {})
    if unlearning.get("indices"):
        unlearning |= {"indices": None, "count": len(unlearning["indices"])}
        write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    manifest["seconds"] = total_seconds(manifest)
    manifest["stages"] = {
        name: {**stage, "inputs": []}
        for name, stage in manifest["stages"].items()
        if _is_kept(folder / f"{name}.safetensors")
    }
    manifest["purged"] = True
    write_json(folder / MANIFEST, manifest)
