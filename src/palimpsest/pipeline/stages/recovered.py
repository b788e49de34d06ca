"""Output of the attack stages and input of scoring: the reconstructions of every attacker."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from palimpsest.attacks import Reconstruction, TrainedAttack
from palimpsest.pipeline.stages.control import Control
from palimpsest.storage import Record


@dataclass(frozen=True)
class Inverter:
    """A trained attack, which reconstructs samples from further proofs without training.

    Args:
        attack: The attack.
        learned: The record that its training returned.
        device: Device of its computations, "cpu" or "cuda".
    """

    attack: TrainedAttack
    learned: Record
    device: str

    @property
    def most(self) -> int:
        """Largest number of samples of a control group that the attack reconstructs in a reasonable time."""
        return self.attack.control_group_size

    def __call__(self, proofs: Tensor) -> Reconstruction:
        """Reconstruct a sample from each proof, `[n, d]`."""
        return self.attack.invert(self.learned, proofs, device=self.device)


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
        inverter: The main attacker's trained attack; None if it does not train before it sees the proofs.
    """

    reconstruction: Reconstruction
    others: Mapping[str, Reconstruction] = field(default_factory=dict)
    control: Control | None = None
    inverter: Inverter | None = None
