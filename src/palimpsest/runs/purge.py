"""Take everything out of a run folder that shows somebody's images, or from which they could be read again."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from palimpsest.errors import RunError
from palimpsest.runs.manifest import MANIFEST, Manifest, read_manifest
from palimpsest.runs.run import lock_folder
from palimpsest.storage import write_json, write_text

_KEPT_FILES = frozenset({".lock", "config.yaml", MANIFEST, "metrics.json"})
_KEPT_STAGES = frozenset(
    {"permutation-test", "forgetting", "prior", "retained", "scores", "soundness", "verdicts"}
)


@dataclass(frozen=True)
class Purge:
    """What a purge removed.

    Args:
        removed: Files and folders, as paths from the run folder.
        bytes: Their size.
        shared: Those of them that are also in another run's folder, under a name of its own.
        kept: What is left.
    """

    removed: tuple[str, ...]
    bytes: int
    shared: tuple[str, ...]
    kept: tuple[str, ...]


def purge(folder: Path, *, dry_run: bool = False) -> Purge:
    """Remove models, proofs, gradients, reconstructions, the report and unfinished work; leave the scores.

    A folder of runs, such as a study's or a sweep's, is purged run by run, and of the pictures beside its tables: some
    are galleries. Two models tell nearly as much as the proofs, so they go as well. Links are removed, never followed.
    The names of forgotten rows are taken out of the configuration. Bytes are not overwritten: on today's disks that
    promises nothing, and encryption does.

    Args:
        folder: A run folder in which nobody works, or a folder of such.
        dry_run: Remove nothing, and return what would be removed.

    Raises:
        RunError: The folder holds no run, another process works in it, or something can't be removed.
    """
    if (folder / MANIFEST).is_file():
        return _purge_run(folder, dry_run=dry_run)
    runs = sorted(path.parent for path in folder.rglob(MANIFEST))
    if not runs:
        raise RunError(f"{folder} holds no run (it has no {MANIFEST}): name the run folder itself.")
    done = {run.relative_to(folder): _purge_run(run, dry_run=dry_run) for run in runs}
    pictures = list(_pictures(folder, runs))
    size = sum(picture.lstat().st_size for picture in pictures)
    if not dry_run:
        for picture in pictures:
            _remove(picture)

    def told(names: str) -> list[str]:
        return [str(place / name) for place, one in done.items() for name in getattr(one, names)]

    return Purge(
        removed=(*told("removed"), *(str(picture.relative_to(folder)) for picture in pictures)),
        bytes=size + sum(one.bytes for one in done.values()),
        shared=tuple(told("shared")),
        kept=tuple(told("kept")),
    )


def _pictures(folder: Path, runs: list[Path]) -> Iterator[Path]:
    """What was drawn beside the tables of studies: `<study>.png` and `.svg` beside `<study>.json` and `.md`."""
    above = {parent for run in runs for parent in run.parents if parent.is_relative_to(folder)}
    for place in sorted(above):
        for table in sorted(place.glob("*.json")):
            drawn = [table.with_suffix(suffix) for suffix in (".png", ".svg")]
            if table.with_suffix(".md").is_file():
                yield from (picture for picture in drawn if picture.is_file() or picture.is_symlink())


def _purge_run(folder: Path, *, dry_run: bool) -> Purge:
    lock = lock_folder(folder)
    try:
        manifest = read_manifest(folder)
        assert manifest is not None, "the manifest was there a moment ago"
        doomed = [path for path in sorted(folder.iterdir()) if not _is_kept(path)]
        files = [file for path in doomed for file in _files(path)]
        result = Purge(
            removed=tuple(path.name for path in doomed),
            bytes=sum(file.lstat().st_size for file in files),
            shared=tuple(str(file.relative_to(folder)) for file in files if file.lstat().st_nlink > 1),
            kept=tuple(path.name for path in sorted(folder.iterdir()) if _is_kept(path)),
        )
        if not dry_run:
            _forget_names(folder, manifest)
            for path in doomed:
                _remove(path)
        return result
    except OSError as error:
        raise RunError(
            f"{error.filename} can't be removed ({error.strerror}): the folder is not purged; see to it and try again."
        ) from error
    finally:
        os.close(lock)


def _is_kept(path: Path) -> bool:
    """Figures, norms and settings are kept; everything else goes, also what a later version will put there."""
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
    """Take the forgotten rows' numbers out of the configuration, and out of the manifest the removed stages and the
    hashes of images, in which somebody who has an image could find it again.
    """
    config: dict[str, Any] = manifest["config"]
    unlearning = config.get("unlearning", {})
    if unlearning.get("indices"):
        unlearning |= {"indices": None, "count": len(unlearning["indices"])}
        write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    manifest["stages"] = {
        name: {**stage, "inputs": []}
        for name, stage in manifest["stages"].items()
        if _is_kept(folder / f"{name}.safetensors")
    }
    manifest["purged"] = True
    write_json(folder / MANIFEST, manifest)
