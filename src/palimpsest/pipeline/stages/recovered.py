"""Output of the attack stages and input of scoring: the reconstructions of every attacker."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from palimpsest.attacks import Reconstruction
from palimpsest.pipeline.stages.control import Control


@dataclass(frozen=True)
class Recovered:
    """Reconstructions, in the order of the proofs or batches.

    Args:
        reconstruction: The main attacker's reconstructions, from the proofs or gradients that the clients issued. An
            auditor knows the defenses and has trained the attack on defended answers.
        others: Reconstructions of other attackers by name, if there are defenses. `non-adaptive` has trained on
            undefended answers; it is absent if the defenses change the length of a proof. `undefended` is the same
            attack on the proofs or gradients before the defenses.
        control: Positive control of the main attacker; None if too few samples could be kept aside.
    """

    reconstruction: Reconstruction
    others: Mapping[str, Reconstruction] = field(default_factory=dict)
    control: Control | None = None
