"""The run folder: every finished stage is kept, with what went into it, so that a killed run goes on."""

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, Self, TypeVar

import torch
from pydantic import BaseModel
from rich.console import Console
from torch import Tensor

from palimpsest.config import RunConfig, Section
from palimpsest.errors import RunError
from palimpsest.progress import LogFile, RunMetrics, Stage, callbacks, in_stage, warn, with_callbacks
from palimpsest.runs.manifest import (
    FORMAT,
    MANIFEST,
    FinishedStage,
    Manifest,
    changed_keys,
    finished_stage,
    read_manifest,
)
from palimpsest.storage import (
    Record,
    file_hash,
    remove_partial,
    tensor_hash,
    write_json,
    write_text,
    written_whole,
)
from palimpsest.system.memory import give_back_freed_memory
from palimpsest.system.peak_memory import start_peak

LOG = "log.txt"
"""What a run did and when; it grows each time that the run goes on."""
R = TypeVar("R", bound=Record)
_REPORTED_VERSIONS = ("palimpsest", "torch", "torchmetrics", "lightning-fabric", "numpy", "safetensors")


class FinalMetrics(RunMetrics, Protocol):
    """A run's metrics, which write themselves."""

    def save(self, path: Path) -> None:
        """Write them, whole or not at all."""
        ...


@dataclass
class Run:
    """One audit's folder, held by one process at a time.

    Stages are cached by what goes into them: a stage whose inputs are unchanged and whose file is whole is read
    back, and any other is computed and written.
    """

    folder: Path
    manifest: Manifest
    console: Console
    _lock: int
    kind: type[RunConfig]
    siblings: Sequence[Path] = ()
    _known: dict[int, tuple[Record, str]] = field(default_factory=dict)
    _watched: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def open(
        cls,
        folder: Path,
        config: RunConfig,
        *,
        console: Console,
        replace: bool = False,
        siblings: Sequence[Path] = (),
    ) -> Self:
        """Make the run folder, or go on in one that holds the same run.

        Args:
            folder: Where the run's files stand; readable by their owner only.
            config: What the run does.
            console: Where each stage prints its one line.
            replace: Go on with another configuration, keeping the stages that it does not touch.
            siblings: Other runs' folders: a stage that one of them finished with the same inputs is taken from there.

        Raises:
            RunError: The folder holds another run or a link, or another process works in it, or it can't be written.
        """
        lock = lock_folder(folder)
        try:
            _refuse_links(folder)
            found = read_manifest(folder, type(config))
            changed = changed_keys(found, config)
            if changed and not replace:
                raise RunError(
                    f"{folder} holds a run with another configuration ({'; '.join(changed[:10])}): choose "
                    "another --out, or pass --replace to go on there with this one."
                )
            if changed:
                # What the other configuration came to must not pass for this one's if this run is stopped early.
                for result in ("metrics.json", "report.html"):
                    (folder / result).unlink(missing_ok=True)
            remove_partial(folder)
            manifest: Manifest = {
                "format": FORMAT,
                "kind": type(config).__name__,
                "config": config.model_dump(mode="json"),
                "versions": {name: version(name) for name in _REPORTED_VERSIONS}
                | {"python": sys.version.split()[0]}
                | config.packages,
                "threads": torch.get_num_threads(),
                "stages": found["stages"] if found else {},
            }
            write_text(folder / "config.yaml", config.to_yaml())
            write_json(folder / MANIFEST, manifest)
            _make_private(folder, console)
            log = LogFile(folder / LOG)
        except BaseException:
            os.close(lock)
            raise
        run = cls(folder, manifest, console, lock, type(config), siblings)
        run._watched.enter_context(with_callbacks(log))
        for callback in callbacks():
            callback.on_run_start(folder, manifest["config"])
        return run

    def close(self) -> None:
        """Let other processes use the folder."""
        for callback in callbacks():
            callback.on_run_end()
        self._watched.close()
        os.close(self._lock)

    def finish(self, metrics: FinalMetrics) -> None:
        """Write `metrics.json`, and pass it on to the callbacks."""
        metrics.save(self.folder / "metrics.json")
        for callback in callbacks():
            callback.on_metrics(metrics)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stage(self, name: str, kind: type[R], compute: Callable[[Path], R], *, key: Sequence[object]) -> R:
        """Compute a stage, or read it back if the folder has it.

        Args:
            name: The stage's name; its file is `<name>.safetensors`.
            kind: The record type that the stage makes.
            compute: Makes the record; it is given a folder where an unfinished stage may keep what it has so far.
            key: All that decides the result: configurations, records, data, plain values. What decides only how it
                is computed, such as a memory budget, stays out.
        """
        path = self.folder / f"{name}.safetensors"
        inputs = [self._fingerprint(value) for value in key]
        digest = _hash("\n".join([name, version("palimpsest"), *inputs]))
        known = finished_stage(self.folder, self.manifest, name, digest) or self._adopt(name, digest)
        if known:
            self._say(Stage(name, known["seconds"], kept=True))
            return self._remember(kind.load(path), known["sha256"])
        scratch = self.folder / ".unfinished" / f"{name}-{digest[:16]}"
        start, peak = time.perf_counter(), start_peak()
        with in_stage(name):
            result = compute(scratch)
        give_back_freed_memory()
        result.save(path)
        seconds = time.perf_counter() - start
        self.manifest["stages"][name] = {
            "key": digest,
            "inputs": inputs,
            "sha256": file_hash(path),
            "bytes": path.stat().st_size,
            "seconds": round(seconds, 3),
            "peak_memory_mib": round(peak() / 2**20),
        }
        write_json(self.folder / MANIFEST, self.manifest)
        shutil.rmtree(scratch, ignore_errors=True)
        self._say(Stage(name, seconds, peak()))
        return self._remember(result, self.manifest["stages"][name]["sha256"])

    def _adopt(self, name: str, digest: str) -> FinishedStage | None:
        """Take a finished stage from a sibling's folder, as another name of the same file where that is possible."""
        for sibling in self.siblings:
            try:
                manifest = read_manifest(sibling, self.kind) if (sibling / MANIFEST).exists() else None
            except RunError:  # A damaged sibling has nothing to give.
                continue
            found = finished_stage(sibling, manifest, name, digest)
            if not found:
                continue
            path = self.folder / f"{name}.safetensors"
            with written_whole(path) as temporary:
                temporary.unlink(missing_ok=True)
                try:
                    os.link(sibling / path.name, temporary)
                except OSError:
                    shutil.copyfile(sibling / path.name, temporary)
            self.manifest["stages"][name] = found
            write_json(self.folder / MANIFEST, self.manifest)
            return found
        return None

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took, in seconds."""
        return {name: stage["seconds"] for name, stage in self.manifest["stages"].items()}

    def _say(self, stage: Stage) -> None:
        style = "dim" if stage.kept else "none"
        self.console.print(f"  [bold]{stage.name:<28}[/bold] [{style}]{stage}[/{style}]", highlight=False)
        for callback in callbacks():
            callback.on_stage_end(stage)

    def _remember(self, record: R, digest: str) -> R:
        # The record is kept with its hash: an id alone could come to name another object.
        self._known[id(record)] = (record, digest)
        return record

    def _fingerprint(self, value: object) -> str:
        """A hash of what a value holds."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        own = getattr(value, "fingerprint", None)
        if isinstance(own, str):
            return own
        if isinstance(value, Tensor):
            return tensor_hash(value)
        if isinstance(value, BaseModel):
            # A third party's component may do something else in another version.
            packages = value.packages if isinstance(value, Section) else ()
            return _hash("\n".join([value.model_dump_json(), *packages]))
        if isinstance(value, Mapping):
            return _hash(
                "\n".join(f"{name}: {self._fingerprint(item)}" for name, item in sorted(value.items()))
            )
        if isinstance(value, Sequence) and not isinstance(value, str):
            return _hash("\n".join(map(self._fingerprint, value)))
        if is_dataclass(value):
            return self._fingerprint({field.name: getattr(value, field.name) for field in fields(value)})
        return json.dumps(value)


def lock_folder(folder: Path) -> int:
    """Make a run folder where there is none, and hold it for as long as the returned descriptor is open.

    The lock goes with the process, however that ends.

    Raises:
        RunError: Another process holds the folder, or it can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RunError(
            f"{folder} can't be used ({error.strerror}): choose another folder with --out."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise RunError(f"Another process works in {folder}: wait for it, or choose another --out.") from error
    return lock


def _refuse_links(folder: Path) -> None:
    """A folder that somebody else made could have a run write anywhere on this machine, or wait for ever."""
    for path in folder.iterdir():
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RunError(f"{path} is a link or no regular file, and a run has none: remove it.")


def _make_private(folder: Path, console: Console) -> None:
    """Shut others out of a folder that stood there before, or say that it can't be done."""
    with suppress(OSError):
        folder.chmod(0o700)
    if folder.stat().st_mode & 0o077:
        message = f"{folder} can be read by others, and a run's files hold people's images: keep them out."
        console.print(f"  [yellow]{message}[/yellow]")
        warn(message)


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
