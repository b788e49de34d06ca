"""Unlearning method that continues training without the forgotten samples."""

from pydantic import PositiveInt

from palimpsest.federation import Federation, Schedule, Training, draw_schedule
from palimpsest.models import load_parameters
from palimpsest.unlearning import Method, Place, Request, Unlearned


class FineTuning(Method):
    """Train for a few more rounds on the retained samples: the baseline for other methods."""

    source = "Golatkar et al., 2020, section 4.1, 'Fine-tune'"

    tuning_rounds: PositiveInt = 2
    """Number of rounds on the retained samples."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Unlearn the requested samples; see `Method`."""
        holders = [client for client, rows in enumerate(request.retained) if len(rows)]
        drawn = draw_schedule(
            len(holders), federation.config.fraction, self.tuning_rounds, seed=federation.seed + 1
        )
        tuned = federation.run(
            "fine-tune",
            request.retained,
            Schedule(tuple(tuple(holders[index] for index in members) for members in drawn.rounds)),
            start=load_parameters(federation.network(), original.parameters),
            scratch=place.room("fine-tune"),
        )
        return Unlearned(tuned.parameters, tuned.rounds)
