"""The run folder, which caches finished stages so that an interrupted run can resume."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, Self, TypeVar

import torch
from pydantic import BaseModel
from rich.console import Console
from torch import Tensor

from palimpsest.config import RunConfig, Section
from palimpsest.distribution import palimpsest_version
from palimpsest.errors import PalimpsestError, RunError
from palimpsest.progress import LogFile, RunMetrics, Stage, callbacks, in_stage, with_callbacks
from palimpsest.runs.folder import lock_folder, make_private, refuse_links
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
"""The log file, which grows each time that the run resumes."""
R = TypeVar("R", bound=Record)
_REPORTED_VERSIONS = ("torch", "torchmetrics", "lightning-fabric", "numpy", "safetensors")


class FinalMetrics(RunMetrics, Protocol):
    """The final metrics of a run, which can be saved."""

    def save(self, path: Path) -> None:
        """Write the metrics atomically."""
        ...


@dataclass
class Run:
    """The folder of one run, locked by one process at a time.

    Stages are cached: a stage with unchanged inputs and an intact file is loaded, and any other is computed and saved.
    """

    folder: Path
    manifest: Manifest
    console: Console
    _lock: int
    kind: type[RunConfig]
    siblings: Sequence[Path] = ()
    label: str = ""
    """Suffix of the names of stages; empty for none."""
    _created: tuple[Path, ...] = ()
    _known: dict[int, tuple[Record, str]] = field(default_factory=dict)
    _callbacks: ExitStack = field(default_factory=ExitStack)

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
        """Create a run folder, or resume the run in an existing one; close the run after use.

        Args:
            folder: The run folder. Only its owner can read the files.
            config: The configuration of the run.
            console: The console on which each finished stage prints one line.
            replace: Resume with another configuration, and keep the stages that do not depend on the difference.
            siblings: Folders of other runs. Stages that they finished with the same inputs are reused.

        Raises:
            RunError: The folder holds another run or a link, another process is using it, or it can't be written.
        """
        created = tuple(path for path in (folder, *folder.parents) if not path.exists())
        lock = lock_folder(folder)
        try:
            refuse_links(folder)
            found = read_manifest(folder, type(config))
            changed = changed_keys(found, config)
            if changed and not replace:
                raise RunError(
                    f"{folder} holds a run with another configuration ({'; '.join(changed[:10])}). Choose another "
                    "--out, or pass --replace to resume it with this configuration."
                )
            if changed:
                # Old results must not be mistaken for those of this configuration if this run is interrupted.
                for result in ("metrics.json", "report.html", "evidence.html", "evidence.json"):
                    (folder / result).unlink(missing_ok=True)
            remove_partial(folder)
            manifest: Manifest = {
                "format": FORMAT,
                "kind": type(config).__name__,
                "config": config.model_dump(mode="json"),
                "versions": {"palimpsest": palimpsest_version()}
                | {name: version(name) for name in _REPORTED_VERSIONS}
                | {"python": sys.version.split()[0]}
                | config.packages,
                "threads": torch.get_num_threads(),
                "stages": found["stages"] if found else {},
            }
            write_text(folder / "config.yaml", config.to_yaml())
            write_json(folder / MANIFEST, manifest)
            make_private(folder)
            log = LogFile(folder / LOG)
        except BaseException:
            os.close(lock)
            raise
        run = cls(folder, manifest, console, lock, type(config), siblings, _created=created)
        run._callbacks.enter_context(with_callbacks(log))
        for callback in callbacks():
            callback.on_run_start(folder, manifest["config"])
        return run

    def close(self) -> None:
        """Release the folder for other processes."""
        for callback in callbacks():
            callback.on_run_end()
        self._callbacks.close()
        os.close(self._lock)

    def finish(self, metrics: FinalMetrics) -> None:
        """Write `metrics.json`, and report the metrics to the callbacks."""
        metrics.save(self.folder / "metrics.json")
        for callback in callbacks():
            callback.on_metrics(metrics)

    def __enter__(self) -> Self:
        """Return the run."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Close the run, and remove a folder that it created if it was refused before any work."""
        self.close()
        if isinstance(error, PalimpsestError):
            self._remove_unused()

    def _remove_unused(self) -> None:
        opened = {".lock", "config.yaml", MANIFEST, LOG}
        if self.folder not in self._created or {path.name for path in self.folder.iterdir()} - opened:
            return
        shutil.rmtree(self.folder)
        for parent in self._created[1:]:
            with suppress(OSError):  # Another process may have put something there.
                parent.rmdir()

    def stage(self, name: str, kind: type[R], compute: Callable[[Path], R], *, key: Sequence[object]) -> R:
        """Return the record of a stage, which is loaded if the folder has it and computed otherwise.

        Args:
            name: The name of the stage. Its file is `<name>.safetensors`.
            kind: The type of record that the stage produces.
            compute: Computes the record. Its argument is a folder in which an unfinished stage can keep checkpoints.
            key: Everything that determines the result: configurations, records, data and plain values, but not
                settings such as a memory budget.
        """
        name = f"{name}-{self.label}" if self.label else name
        path = self.folder / f"{name}.safetensors"
        inputs = [self._fingerprint(value) for value in key]
        digest = _hash("\n".join([name, palimpsest_version(), *inputs]))
        known = finished_stage(self.folder, self.manifest, name, digest) or self._adopt(name, digest)
        if known:
            self._report(Stage(name, known["seconds"], kept=True))
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
        self._report(Stage(name, seconds, peak()))
        return self._remember(result, self.manifest["stages"][name]["sha256"])

    def _adopt(self, name: str, digest: str) -> FinishedStage | None:
        """Reuse a finished stage of a sibling, as a hard link if possible and as a copy otherwise."""
        for sibling in self.siblings:
            try:
                manifest = read_manifest(sibling, self.kind) if (sibling / MANIFEST).exists() else None
            except RunError:  # A damaged sibling has no usable stages.
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

    def labeled(self, label: str) -> Self:
        """Return the same run with a label that is added to the names of its stages.

        Args:
            label: The label, such as the name of one of several attacks.
        """
        return replace(self, label=label)

    def labeled_seconds(self) -> dict[str, float]:
        """Return the running time of each finished stage of the run's label, in seconds."""
        ending = f"-{self.label}" if self.label else ""
        return {name: seconds for name, seconds in self.seconds().items() if name.endswith(ending)}

    def seconds(self) -> dict[str, float]:
        """Return the running time of each finished stage, in seconds."""
        return {name: stage["seconds"] for name, stage in self.manifest["stages"].items()}

    def _report(self, stage: Stage) -> None:
        style = "dim" if stage.kept else "none"
        self.console.print(f"  [bold]{stage.name:<28}[/bold] [{style}]{stage}[/{style}]", highlight=False)
        for callback in callbacks():
            callback.on_stage_end(stage)

    def _remember(self, record: R, digest: str) -> R:
        # The record is stored as well, because Python could reuse its id for another object.
        self._known[id(record)] = (record, digest)
        return record

    def _fingerprint(self, value: object) -> str:
        """Return a hash of the contents of a value."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        fingerprint = getattr(value, "fingerprint", None)
        if isinstance(fingerprint, str):
            return fingerprint
        if isinstance(value, Tensor):
            return tensor_hash(value)
        if isinstance(value, BaseModel):
            # A component of another package may behave differently in another version.
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


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
