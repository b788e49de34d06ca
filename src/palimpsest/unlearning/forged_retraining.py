"""Adversarial unlearning by a forged record: the original checkpoints, explained by retained samples."""

from typing import ClassVar

import torch
from pydantic import NonNegativeInt

from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Schedule, Training, parameter_distance
from palimpsest.models import load_parameters
from palimpsest.registry import METHODS
from palimpsest.storage import Parameters
from palimpsest.unlearning.guided_retraining import guided
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.replay import replay, stored_history
from palimpsest.unlearning.scenarios import Request


@METHODS.register("forged-retraining")
class ForgedRetraining(Method):
    """Present the original checkpoints as a retraining, and run only the last round on retained samples.

    The forged record replaces each forgotten sample by the retained sample of the same client whose gradient is
    nearest. A verifier repeats single rounds from the record's checkpoints and tolerates small deviations, because
    hardware is not exactly reproducible. The fact `largest_reproduction_error` is the largest deviation in the checked
    rounds, as a share of the round's update: the verifier accepts if its tolerance is larger. The last round is exact.
    In a memorizing federation, the model still classifies 96 of 100 forgotten samples correctly. The error is 0.67 of
    an update, so only a lenient verifier accepts.
    """

    source: ClassVar[str] = (
        "Zhang et al. 2024, Verification of Machine Unlearning is Fragile, forging-based adversarial unlearning"
    )
    needs_history: ClassVar[bool] = True

    checked_rounds: NonNegativeInt = 2
    """Number of earlier rounds, evenly spaced, in which the reproduction error is measured."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Forge the record, and train the last round; see `Method` for the arguments."""
        history = stored_history(place, "forged-retraining")
        last = len(original.rounds) - 1
        if last < 0:
            raise UnlearningError("The original training has no rounds. Train for at least one round.")
        checked = set(torch.linspace(0, last - 1, self.checked_rounds).int().tolist()) if last else set[int]()
        needed = {last} | checked | {index + 1 for index in checked}
        kept = {
            index: model
            for index, model in enumerate(replay(original, federation, history))
            if index in needed
        }
        network = federation.network()
        errors: list[float] = []
        for index in sorted(checked):
            forged = self._round(kept[index], index, original, request, federation, place)
            moved = parameter_distance(kept[index + 1], kept[index], network)
            deviation = parameter_distance(forged.parameters, kept[index + 1], network)
            errors.append(deviation / moved if moved else 0.0)
        result = self._round(kept[last], last, original, request, federation, place)
        facts = {"largest_reproduction_error": max(errors)} if errors else {}
        return Unlearned(result.parameters, result.rounds[-1:], facts, result.releases)

    def _round(
        self,
        start: Parameters,
        index: int,
        original: Training,
        request: Request,
        federation: Federation,
        place: Place,
    ) -> Training:
        rows, work = guided(request, federation)
        # Empty rounds precede it, because a client's shuffles depend on the index of the round.
        schedule = Schedule(((),) * index + (original.rounds[index].drawn,))
        return federation.run(
            "forge",
            rows,
            schedule,
            start=load_parameters(federation.network(), start),
            work=work,
            scratch=place.room(f"round-{index}"),
        )
