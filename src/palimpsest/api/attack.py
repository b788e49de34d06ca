"""Attacks on the user's own artifacts, such as proofs, checkpoints and images, and checks of these artifacts."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from palimpsest.api.examination import Examination
from palimpsest.api.paths import checked_path
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
    """Attack the proofs or gradients of an existing federation.

    Nothing is trained except the attack itself. The attack is scored only if `truth`, the forgotten samples, is given.
    An attack that was stopped resumes with the same call.

    Args:
        artifacts: The artifacts and the attack: a configuration or the path of a YAML file. If omitted, `keys` must
            hold all required settings.
        out: The run folder. If omitted, a folder under `runs/` named after the attacked file and a hash of the
            configuration.
        data_dir: A folder that mirrors the published data sets; sets that it lacks come from the Hugging Face Hub.
        replace: Reuse a folder that holds another configuration, and keep its stages whose inputs are the same.
        quiet: Show no progress.
        log: A log file to append to: one line for each stage, and occasional progress of long stages.
        track: Experiment trackers that receive training history and scores, but no images: `tensorboard`, `wandb`,
            `mlflow`.
        keys: Fields of `ArtifactsConfig`, with sections as mappings, such as `attack={"epochs": 5}`, or as dotted keys,
            such as `**{"attack.epochs": 5}`. They override those of a file.

    Returns:
        The run folder, the metrics and the report's verdict.

    Raises:
        PalimpsestError: An artifact is missing or inconsistent with another; `doctor` gives details.

    Example:
        >>> import palimpsest
        >>> artifacts = {"proofs": "proofs.safetensors", "auxiliary": "images/", "oracle": {"source": "gradients/"}}
        >>> result = palimpsest.attack(**artifacts, attack={"epochs": 5})  # doctest: +SKIP
        >>> palimpsest.attack(proofs="proofs.safetensors")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        palimpsest.errors.ConfigurationError: ...auxiliary is missing...
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
    """Check that the artifacts of an attack are present and consistent, before a long run.

    The check sends at most about twenty samples to the oracle.

    Args:
        artifacts: The artifacts and the attack, as for `attack`.
        out: The folder that the run would use. Nothing is written there.
        data_dir: A folder that mirrors the published data sets, as for `attack`.
        keys: Fields of `ArtifactsConfig`, as for `attack`.

    Returns:
        The findings, each with a level (ok, warning or error), a subject and a message.

    Raises:
        ConfigurationError: A key is missing, or a key or value is not accepted.

    Example:
        >>> import palimpsest
        >>> examination = palimpsest.doctor(proofs="missing.safetensors", auxiliary="digits")
        >>> examination.ok
        False
        >>> examination.findings[0].subject
        'proofs'
    """
    return Examination(tuple(findings(artifacts, out=out, data_dir=data_dir, **keys)))


def findings(
    artifacts: ArtifactsConfig | str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] = "runs",
    data_dir: str | PathLike[str] | None = None,
    **keys: Any,
) -> Iterator[Finding]:
    """Yield the findings of `doctor` one by one as the checks complete; arguments and errors as for `doctor`."""
    config = _read(artifacts, keys)
    return examine(config, folder=Path(out), data_dir=Path(data_dir) if data_dir else None)


def _read(
    artifacts: ArtifactsConfig | str | PathLike[str] | None, keys: Mapping[str, Any]
) -> ArtifactsConfig:
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    if not isinstance(artifacts, ArtifactsConfig):
        remedy = "Pass a mapping as keywords, as in attack(**mapping)."
        path = None if artifacts is None else checked_path(artifacts, "artifacts", remedy=remedy)
        return read_artifacts_config(path, plain)
    if plain:
        raise ConfigurationError(
            "Keyword settings can't be combined with an ArtifactsConfig. Pass them when you build it."
        )
    return artifacts
