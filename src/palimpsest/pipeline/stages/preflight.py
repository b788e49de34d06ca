"""Checks before a run starts: the attacker's knowledge, the kind of samples, the supplied artifacts."""

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.attacks import Attack, AuditorView, LearnedInversion, ModelsView, ServerAttack, ServerView
from palimpsest.attacks.learned.perceptual_loss import cached_vgg, download_vgg
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


def check_knowledge(attack: Attack | ServerAttack, view: type[AuditorView | ServerView]) -> None:
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


def check_samples(name: str, attack: Attack | ServerAttack, samples: SampleSet) -> None:
    """Refuse an attack that reconstructs another kind of samples than the auxiliary ones.

    Args:
        name: The attack's name.
        attack: The attack.
        samples: The attacker's auxiliary samples.

    Raises:
        KnowledgeError: The kinds differ; the message names suitable attacks.
    """
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


def check_attack_on_artifacts(config: ArtifactsConfig, attack: Attack | ServerAttack) -> None:
    """Refuse an attack that can't run on the supplied artifacts.

    Args:
        config: The artifacts.
        attack: The attack.

    Raises:
        KnowledgeError: The attack is for the other kind of attacker, needs a model that was not supplied, or is a
            server attack combined with defenses.
    """
    name = config.attack.name
    if config.gradients is None:
        if isinstance(attack, ServerAttack):
            raise KnowledgeError(
                f"{name} is an attack from the server, which sees gradients of batches instead of proofs. Choose an "
                "auditor's attack, such as igf or igf-plus, or supply gradients."
            )
        check_knowledge(attack, AuditorView if config.model is None else ModelsView)
        return
    if not isinstance(attack, ServerAttack):
        raise KnowledgeError(
            f"{name} is an auditor's attack, which needs proofs. Choose a server's attack, such as dragd or dragdp, or "
            "supply proofs."
        )
    if config.defenses:
        raise KnowledgeError(
            f"{name} attacks the supplied gradients as they are and imitates no defense. Leave defenses out, or use an "
            "audit, which applies the defenses and also attacks the gradients before them."
        )
