"""Negated pseudo-gradients: the reverse of the update that the forgotten samples would give (PUF)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from palimpsest.federation import Federation, Reply, Schedule, Training, weighted_mean
from palimpsest.models import load_parameters
from palimpsest.registry import METHODS
from palimpsest.storage import Parameters
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.recovery import then_recover
from palimpsest.unlearning.scenarios import Request


@METHODS.register("puf")
class NegatedPseudoGradients(Method):
    """Train on the forgotten samples as usual, apply the negated and scaled update, then recover (PUF).

    An update of local training is a pseudo-gradient that follows the loss down; its negation goes up. Clients need no
    new code, because they train as in every round. This is the variant with rounds of the unlearning clients alone,
    which precede the recovery; the paper's other variant unlearns within a regular round.

    On the validation federation (400 CIFAR-10 images, one of four clients leaves; the exactly retrained model has an
    accuracy of 27.2 % on test and 24.0 % on forgotten samples), these defaults reach 28.8 % and 63.0 %, from 100 % on
    forgotten samples before: they forget in part. A rate of 20 ruins the model, and so do four rounds.
    """

    source: ClassVar[str] = (
        "Mora et al. 2025, Federated Unlearning Made Practical: Seamless Integration via Negated Pseudo-Gradients"
    )

    unlearning_rate: PositiveFloat = 3.0
    """Factor of the negated update, eta_u."""
    rounds: PositiveInt = 1
    """Rounds of the unlearning clients."""
    fine_tune_rounds: NonNegativeInt = 4
    """Rounds of training on the retained samples afterwards."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Apply the negated updates and recover; see `Method` for the arguments."""
        unlearned = federation.run(
            "negate",
            request.forgotten_by_client,
            Schedule((request.clients,) * self.rounds),
            start=load_parameters(federation.network(), original.parameters),
            aggregation=Negation(self.unlearning_rate),
            minimum_replies=len(request.clients),
            scratch=place.room("negate"),
        )
        negated = Unlearned(unlearned.parameters, unlearned.rounds, releases=unlearned.releases)
        return then_recover(negated, request, federation, place, rounds=self.fine_tune_rounds)


@dataclass(frozen=True)
class Negation:
    """Aggregation that moves the global model against the clients' mean update.

    Args:
        rate: Factor of the update.
    """

    rate: float

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Return `w - rate (mean - w)`; buffers keep their values. See `Aggregator` for the arguments."""
        mean = weighted_mean(replies)
        moved = {name: current[name] - self.rate * (mean[name] - current[name]) for name in trainable}
        return current | moved, {}
