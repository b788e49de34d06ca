"""Refusals before a run starts: an attack without its knowledge, another kind of samples, too little memory."""

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.attacks import ArchitectView, Attack, AuditorView, ServerAttack, ServerView
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS


def check_knowledge(attack: Attack | ServerAttack, view: type[AuditorView | ServerView]) -> None:
    """Refuse an attack that needs more than its attacker holds.

    Args:
        attack: The attack.
        view: What its attacker holds.

    Raises:
        KnowledgeError: The message names the missing knowledge.
    """
    missing = attack.knowledge - view.knowledge
    if missing:
        attacker = "a server" if view is ServerView else "an auditor"
        raise KnowledgeError(
            f"{type(attack).__name__} needs to know {'; '.join(sorted(missing))}, which {attacker} does not: choose "
            "another attack."
        )


def check_samples(name: str, attack: Attack | ServerAttack, samples: SampleSet) -> None:
    """Refuse an attack that reconstructs another kind of samples.

    Args:
        name: The attack's name.
        attack: The attack.
        samples: The attacker's own samples.

    Raises:
        KnowledgeError: The message names the attacks on such samples.
    """
    takes = attack.takes if isinstance(attack, Attack) else ImageSet
    if not isinstance(samples, takes):
        fitting = [
            other
            for other, kind in ATTACKS
            if issubclass(kind, Attack) and issubclass(type(samples), kind.takes)
        ]
        raise KnowledgeError(
            f"{name} reconstructs {takes.kind}, and {samples.name} holds {samples.kind}: choose {' or '.join(fitting)}."
        )


def check_attack_on_artifacts(config: ArtifactsConfig, attack: Attack | ServerAttack) -> None:
    """Refuse an attack that can't run on the supplied artifacts.

    Raises:
        KnowledgeError: The attack is for the other kind of attacker, or needs a model that was not supplied.
    """
    name = config.attack.name
    if config.gradients is None:
        if isinstance(attack, ServerAttack):
            raise KnowledgeError(
                f"{name} is an attack from the server, which sees batches' gradients and not proofs: choose "
                "an auditor's attack, such as igf or igf-plus, or give gradients."
            )
        check_knowledge(attack, AuditorView if config.model is None else ArchitectView)
        return
    if not isinstance(attack, ServerAttack):
        raise KnowledgeError(
            f"{name} is an auditor's attack, which is made on proofs: choose a server's attack, such as "
            "dragd or dragdp, or give proofs."
        )
    if config.defenses:
        raise KnowledgeError(
            f"{name} takes a client's gradients as they are and imitates no defense: leave defenses "
            "out, or have an audit defend them, which also attacks the gradients before the defenses."
        )
