"""Search for forgotten samples among the attacker's own, in an attack on supplied artifacts."""

from palimpsest.datasets import Copies, SampleSet, find_copies
from palimpsest.progress import warn


def find_known_samples(truth: SampleSet | None, auxiliary: SampleSet) -> Copies | None:
    """Find the forgotten samples that the attacker already had, and warn of them.

    Only scoring may call this, after the last reconstruction: an attacker who removed these samples before the attack
    would use the truth.

    Args:
        truth: The forgotten samples; None if they are unknown.
        auxiliary: The attacker's samples, of the same kind and shape.

    Returns:
        The forgotten samples that are copies of the attacker's; None if the forgotten samples are unknown.
    """
    if truth is None:
        return None
    copies = find_copies(truth, auxiliary)
    for sentence in describe_known_samples(copies):
        warn(sentence)
    return copies


def describe_known_samples(copies: Copies) -> list[str]:
    """Describe the forgotten samples that the attacker already had; empty if there are none.

    Args:
        copies: The result of `find_known_samples`.
    """
    known, exact = int(copies.rows.sum()), int(copies.exact.sum())
    if not known:
        return []
    return [
        f"The attacker already had {known:,} of the {len(copies.exact):,} forgotten samples: {exact:,} are identical "
        f"to an auxiliary or public sample and {known - exact:,} nearly so. Their scores show no leak. Remove them "
        "from the attacker's samples and run the attack again."
    ]
