"""Overlap of the attacker's samples with the clients', in the metrics and on the page."""

from collections.abc import Iterable

from palimpsest.attacks import Knowledge, spelled_out
from palimpsest.datasets import Overlap
from palimpsest.metrics import OverlapMetrics
from palimpsest.pipeline.results.outcome import Federated, Outcome

_OWN = (Knowledge.AUXILIARY, Knowledge.PUBLIC)


def overlap_metrics(outcome: Outcome) -> OverlapMetrics | None:
    """Count the samples that are among the clients' and among the attacker's.

    Args:
        outcome: The results of all stages.

    Returns:
        The counts, or None if the clients' samples are unknown.
    """
    if isinstance(outcome.source, Federated):
        found = outcome.source.federation.data.overlap
        treatment = "removed" if found is not None and found.removed else "kept"
    else:
        copies, treatment = outcome.overlap, "counted"
        found = copies and Overlap.of(copies, compared=len(outcome.auxiliary), removed=False)
    return found and OverlapMetrics(
        treatment=treatment,
        examined=found.examined,
        compared=found.compared,
        exact=found.exact,
        near=found.near,
        repeated=found.repeated,
        remaining=found.remaining,
    )


def measured_knowledge(knowledge: Iterable[Knowledge], overlap: OverlapMetrics | None) -> list[str]:
    """Write an attack's knowledge as sentences, with what was measured about the attacker's own samples.

    Args:
        knowledge: Kinds of information that the attack has.
        overlap: The overlap of the attacker's samples with the clients'; None if it is unknown.

    Returns:
        One sentence for each kind, in alphabetical order.
    """
    attackers = {spelled_out([kind])[0]: kind for kind in _OWN}
    return [
        f"{sentence.removesuffix('.')}{_origin(overlap)}." if sentence in attackers else sentence
        for sentence in spelled_out(knowledge)
    ]


def _origin(overlap: OverlapMetrics | None) -> str:
    """Say whether the attacker's samples are from a client."""
    if overlap is None:
        return "; whether a client has any of them was not tested"
    clients = f"the clients' {overlap.compared:,} training images"
    if overlap.treatment == "counted":
        clients = f"the {overlap.examined:,} forgotten samples"
    if overlap.remaining:
        return f", which include {overlap.remaining:,} copies of {clients}"
    if overlap.near is None:
        return f", none of them identical to one of {clients}"
    return f", none of them identical or nearly identical to one of {clients}"
