"""The portfolio `strongest`: the attacks that fit what an attacker holds, cheapest first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import PositiveFloat

from palimpsest.attacks.auditor_view import Controlled, Knowledge
from palimpsest.datasets import ImageSet, RowSet, SampleSet, TokenSet
from palimpsest.errors import KnowledgeError
from palimpsest.registry import ATTACKS

# Training steps that an inverter needs on few auxiliary images, and the batch size of igf-plus.
_STEPS, _BATCH = 240, 128
_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 40
# Minutes of the default time budget: a base, and the time for each million of auxiliary values.
_BASE, _PER_MILLION = 30.0, 2.0


@dataclass(frozen=True)
class Member:
    """An attack of the portfolio.

    Args:
        label: Distinguishes the attack's files in the run folder.
        attack: Registered name of the attack.
        settings: Settings that differ from the attack's defaults.
        work: Estimated work, in units of the first member that trains or searches; 0 for an attack in closed form.
    """

    label: str
    attack: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    work: float = 1.0


@ATTACKS.register("strongest")
class Strongest(Controlled):
    """Run the attacks that fit what the attacker holds, cheapest first, and report the worst case.

    This is no attack of its own: the stages of a run choose and run its members, and scoring chooses the reported one.
    """

    source: ClassVar[str] = "Palimpsest's own portfolio of attacks"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset()

    time_budget: PositiveFloat | None = None
    """Minutes for all attacks of the portfolio. An attack whose estimated time exceeds what is left is not run. The
    first one always runs. If omitted, 30 minutes plus 2 for each million of auxiliary pixel values."""

    def minutes(self, samples: SampleSet) -> float:
        """Return the time budget in minutes.

        Args:
            samples: The attacker's auxiliary samples.
        """
        if self.time_budget is not None:
            return self.time_budget
        return _BASE + _PER_MILLION * samples.inputs.numel() / 1e6

    def against_proofs(
        self, samples: SampleSet, *, architecture: bool, aggregated: bool = False
    ) -> list[Member]:
        """Choose attacks on proofs.

        Args:
            samples: The auditor's auxiliary samples.
            architecture: Whether the auditor knows the model's architecture.
            aggregated: Whether a proof is a mean over several samples.

        Returns:
            The attacks, cheapest first.

        Raises:
            KnowledgeError: No attack reconstructs samples of this kind.
        """
        if aggregated:
            # The other attacks factorize the gradient difference of a single sample.
            network = {"explained_variance": 0.999, "width": 128, "learning_rate": 1e-3, "beta": 0.0}
            return [Member("igf", "igf", network)]
        if isinstance(samples, ImageSet):
            return _against_images(len(samples), architecture=architecture)
        if isinstance(samples, RowSet):
            exact = [Member("linear-layer", "linear-layer", work=0.0)] if architecture else []
            return [*exact, Member("igf-rows", "igf-rows")]
        if isinstance(samples, TokenSet):
            return [Member("igf-tokens", "igf-tokens")]
        raise KnowledgeError(
            f"No attack of the portfolio reconstructs {samples.kind}. Name an attack of your own with attack.name."
        )

    def against_gradients(self, *, labels: bool) -> list[Member]:
        """Choose attacks on the gradients of batches.

        Args:
            labels: Whether the server knows the samples' labels. If not, the attacks infer them.
        """
        mode = {} if labels else {"labels": "inferred"}
        start = {"space": "spectrum", "prior": "mean"}
        # One stage is the cheapest where the models are close, two stages are best where they are not, and one search
        # for all samples where they are far apart or trained (docs/results-server.md).
        return [
            Member("direct-difference", "direct-difference", mode | start),
            Member("dragdp", "dragdp", mode, work=2.5),
            Member("joint", "joint", mode | start, work=3.0),
            Member("giamu", "giamu", mode | {"iterations": 2400, "restarts": 1}, work=6.0),
        ]


def _against_images(auxiliary: int, *, architecture: bool) -> list[Member]:
    """Choose attacks on proofs of images: igf-plus with a small network, then the full attack.

    The epochs follow from the number of auxiliary images, because a network needs a minimum number of steps.
    """
    short, full = _epochs(auxiliary, queries=4), _epochs(auxiliary, queries=8)
    small = {"queries": 4, "width": 64, "blocks": 1, "epochs": short, "matching": 0}
    name = "igf-white" if architecture else "igf-plus"
    # The cost of a convolution grows with the square of its width. The small network has few channels, which take more
    # time than their share.
    work = 6.0 * (8 * full) / (4 * short)
    return [Member("igf-plus-short", "igf-plus", small), Member(name, name, {"epochs": full}, work=work)]


def _epochs(auxiliary: int, *, queries: int) -> int:
    """Return the number of epochs that take the minimum number of training steps."""
    epochs = math.ceil(_STEPS * _BATCH / (max(1, auxiliary) * queries))
    return min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, epochs))
