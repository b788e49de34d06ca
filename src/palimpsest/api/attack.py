"""Attacks on the user's own artifacts, such as proofs, checkpoints and images, and their examination."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from palimpsest.api.examination import Examination
from palimpsest.api.progress import reporting
from palimpsest.artifacts.config import ArtifactsConfig, read_artifacts_config
from palimpsest.doctor import Finding, examine
from palimpsest.errors import ConfigurationError
from palimpsest.pipeline.attack import attack as run_attack
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.runs import default_folder


def attack(
    artifacts: ArtifactsConfig | str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    replace: bool = False,
    quiet: bool = False,
    log: str | PathLike[str] | None = None,
    track: Sequence[str] = (),
    **keys: Any,
) -> AuditResult:
    """Attack proofs of a federation of your own: nothing is trained but the attack, without `truth` nothing is scored.

    Args:
        artifacts: A case, or a YAML file of its keys; none where the keys say it all.
        out: The run folder; none for one under `runs/`, named after the proofs and a hash of the case.
        data_dir: A folder that mirrors the published sets; what it lacks comes from the hub.
        replace: Go on in a folder that holds another case, keeping the stages that are the same.
        quiet: Show no progress.
        log: A file that grows by a line for each stage, and now and then for what takes long.
        track: Trackers that receive curves and scores, and no image: tensorboard, wandb, mlflow.
        keys: Those of `ArtifactsConfig`, sections as mappings: `proofs="proofs.safetensors", original="a.pt",
            unlearned="b.pt", model="mypackage.nets:Net", auxiliary="images/", attack={"epochs": 5}`; they win over
            those of a file.

    Raises:
        PalimpsestError: A piece is missing or does not fit another; `doctor` says more.
    """
    config = _read(artifacts, keys)
    folder = Path(out) if out else default_folder(config.attacked_file.stem, config)
    with reporting(quiet=quiet, log=log, track=track) as active:
        return run_attack(
            config,
            out=folder,
            data_dir=Path(data_dir) if data_dir else None,
            replace=replace,
            console=active.console,
            command=active.command,
        )


def doctor(
    artifacts: ArtifactsConfig | str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] = "runs",
    data_dir: str | PathLike[str] | None = None,
    **keys: Any,
) -> Examination:
    """Say, before hours are spent, whether the pieces of an attack fit; some twenty samples are asked about.

    Args:
        artifacts: As for `attack`.
        out: Where the run would stand; nothing is written there.
        data_dir: As for `attack`.
        keys: As for `attack`.

    Raises:
        ConfigurationError: A key is missing, or a key or value is not accepted.
    """
    return Examination(tuple(findings(artifacts, out=out, data_dir=data_dir, **keys)))


def findings(
    artifacts: ArtifactsConfig | str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] = "runs",
    data_dir: str | PathLike[str] | None = None,
    **keys: Any,
) -> Iterator[Finding]:
    """What `doctor` finds, one finding after the other as they are made; arguments and errors as for `doctor`."""
    config = _read(artifacts, keys)
    return examine(config, folder=Path(out), data_dir=Path(data_dir) if data_dir else None)


def _read(
    artifacts: ArtifactsConfig | str | PathLike[str] | None, keys: Mapping[str, Any]
) -> ArtifactsConfig:
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    if not isinstance(artifacts, ArtifactsConfig):
        return read_artifacts_config(Path(artifacts) if artifacts is not None else None, plain)
    if plain:
        raise ConfigurationError("Keys go with a file or alone: build the case with them.")
    return artifacts
