"""What the attack stage hands to scoring, whoever attacked."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from palimpsest.attacks import Reconstruction


@dataclass(frozen=True)
class Recovered:
    """Reconstructions, in the order of the proofs or batches.

    Args:
        reconstruction: The attack's, made from what the clients issued. An auditor's attacker knows the defenses and
            has learned through them.
        others: Where there are defenses, other attackers' by name: `non-adaptive`, who has learned from undefended
            differences, unless a defended proof has another length than those; and `undefended`, the same attack on
            proofs or gradients before the defenses.
    """

    reconstruction: Reconstruction
    others: Mapping[str, Reconstruction] = field(default_factory=dict)
