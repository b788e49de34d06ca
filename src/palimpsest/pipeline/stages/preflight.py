"""Checks before a run starts: requirements, the attacker's knowledge, the kind of samples, the supplied artifacts."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.attacks import (
    Attack,
    AuditorView,
    LearnedInversion,
    ModelsView,
    ServerAttack,
    ServerView,
    Strongest,
)
from palimpsest.attacks.learned.perceptual_loss import cached_vgg, download_vgg, load_vgg_features
from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.defenses import published_noise
from palimpsest.distribution import install_command
from palimpsest.errors import ConfigurationError, KnowledgeError, MissingDependencyError
from palimpsest.registry import ATTACKS
from palimpsest.system.device import pick_device


def check_knowledge(attack: Attack | ServerAttack | Strongest, view: type[AuditorView | ServerView]) -> None:
    """Refuse an attack that needs more knowledge than its attacker has.

    Args:
        attack: The attack.
        view: The kind of view that its attacker gets.

    Raises:
        KnowledgeError: Knowledge is missing; the message names it.
    """
    missing = attack.knowledge - view.knowledge
    if missing:
        attacker = "a server" if view is ServerView else "an auditor"
        raise KnowledgeError(
            f"{type(attack).__name__} needs to know {'; '.join(sorted(missing))}, which {attacker} does not. Choose "
            "another attack."
        )


def check_requirements(config: AuditConfig | ArtifactsConfig, *, data_dir: Path | None) -> str:
    """Check what a run needs from this machine: data folder, device, packages of extras, and pretrained weights.

    Args:
        config: The configuration of an audit, or of an attack on artifacts after `settle_weights`.
        data_dir: A folder that mirrors the published data sets.

    Returns:
        The device to compute on.

    Raises:
        ConfigurationError: The folder, the device or the weights are missing.
        MissingDependencyError: A package is not installed.
        CheckpointError: The file of weights is damaged.
    """
    check_data_dir(data_dir)
    for setting, package in _needed_packages(config):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"{setting} needs the package {package}, which is not installed. Install the extra: "
                f"{install_command('flower')}."
            )
    attack = config.attack.build()
    if isinstance(attack, LearnedInversion) and attack.beta:
        load_vgg_features(attack.vgg_weights)
    return pick_device(config.device)


def check_data_dir(data_dir: Path | None) -> None:
    """Refuse a data folder that does not exist; otherwise all of its sets would be downloaded.

    Args:
        data_dir: A folder that mirrors the published data sets. None means that there is none.

    Raises:
        ConfigurationError: It is not a folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise ConfigurationError(f"--data-dir is {data_dir}, but there is no such folder. Check the path.")


def _needed_packages(config: AuditConfig | ArtifactsConfig) -> Iterator[tuple[str, str]]:
    """Yield the settings that need a package of an extra, with the package's name."""
    if config.oracle.engine == "ray":
        yield "--oracle.engine ray", "ray"
    if not isinstance(config, AuditConfig):
        return
    if config.federation.engine == "flower-simulation":
        yield "--federation.engine flower-simulation", "flwr"
        yield "--federation.engine flower-simulation", "ray"
    if config.federation.aggregation == "flower":
        yield "--federation.aggregation flower", "flwr"
    if config.data.partition == "flower":
        yield "--data.partition flower", "flwr_datasets"


def settle_weights(config: ArtifactsConfig) -> tuple[ArtifactsConfig, tuple[str, ...]]:
    """Switch the perceptual loss off if its weights are missing and may not be downloaded.

    An attack on local data makes no network connection unless `download` is set.

    Args:
        config: The artifacts and the attack.

    Returns:
        The configuration to run, and a note if it differs from the given one.

    Raises:
        ConfigurationError: `download` is set, and the weights can't be downloaded.
    """
    attack = config.attack.build()
    if not isinstance(attack, LearnedInversion) or not attack.beta or attack.vgg_weights is not None:
        return config, ()
    if cached_vgg().is_file():
        return config, ()
    if config.download:
        download_vgg()
        return config, ()
    without = type(config.attack).model_validate(config.attack.model_dump() | {"beta": 0.0})
    note = (
        "VGG-16's weights are missing, so the attack runs without the perceptual loss (attack.beta 0). Set --download "
        "to download them, or pass a file with --attack.vgg-weights."
    )
    return config.model_copy(update={"attack": without}), (note,)


def check_samples(name: str, attack: Attack | ServerAttack | Strongest, samples: SampleSet) -> None:
    """Refuse an attack that reconstructs another kind of samples than the auxiliary ones.

    Args:
        name: The attack's name.
        attack: The attack.
        samples: The attacker's auxiliary samples.

    Raises:
        KnowledgeError: The kinds differ; the message names suitable attacks.
    """
    if isinstance(attack, Strongest):
        return
    accepted = attack.takes if isinstance(attack, Attack) else ImageSet
    if not isinstance(samples, accepted):
        suitable = [
            other
            for other, kind in ATTACKS
            if issubclass(kind, Attack) and issubclass(type(samples), kind.takes)
        ]
        raise KnowledgeError(
            f"{name} reconstructs {accepted.kind}, but {samples.name} holds {samples.kind}. Choose "
            f"{' or '.join(suitable)}."
        )


def check_groups(name: str, attack: Attack | ServerAttack | Strongest, *, aggregated: bool) -> None:
    """Refuse an attack that needs the proof of a single sample if the proofs are means over groups.

    Args:
        name: The attack's name.
        attack: The attack.
        aggregated: Whether a proof is a mean over several samples.

    Raises:
        KnowledgeError: The attack does not work on such proofs; the message names attacks that do.
    """
    if not aggregated or not isinstance(attack, Attack) or attack.takes_groups:
        return
    suitable = [other for other, kind in ATTACKS if issubclass(kind, Attack) and kind.takes_groups]
    raise KnowledgeError(
        f"{name} needs a proof for each sample, but proofs.granularity makes each proof a mean over several. Choose "
        f"{' or '.join(suitable)}, or set proofs.granularity to sample."
    )


def check_attack_on_artifacts(config: ArtifactsConfig, attack: Attack | ServerAttack | Strongest) -> None:
    """Refuse an attack that can't run on the supplied artifacts.

    Args:
        config: The artifacts.
        attack: The attack.

    Raises:
        KnowledgeError: The attack is for the other kind of attacker, needs a model that was not supplied, or is a
            server attack combined with defenses other than clipping and Gaussian noise.
    """
    name = config.attack.name
    if isinstance(attack, Strongest) and config.gradients is None:
        return
    if config.gradients is None:
        if isinstance(attack, ServerAttack):
            raise KnowledgeError(
                f"{name} is an attack from the server, which sees gradients of batches instead of proofs. Choose an "
                "auditor's attack, such as igf or igf-plus, or supply gradients."
            )
        check_knowledge(attack, AuditorView if config.model is None else ModelsView)
        return
    if not isinstance(attack, ServerAttack | Strongest):
        raise KnowledgeError(
            f"{name} is an auditor's attack, which needs proofs. Choose a server's attack, such as dragd or dragdp, or "
            "supply proofs."
        )
    if config.defenses and published_noise([defense.build() for defense in config.defenses]) is None:
        raise KnowledgeError(
            f"{name} attacks the supplied gradients as they are. It uses the settings of clip-noise and gaussian, but "
            "imitates no defense. Leave the other defenses out, or use an audit, which applies the defenses and also "
            "attacks the gradients before them."
        )
