"""Recovery: rounds of training on the retained samples after an approximate method has changed the model."""

from dataclasses import replace

from palimpsest.federation import Federation, Schedule, Training, Work, draw_schedule
from palimpsest.models import load_parameters
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters
from palimpsest.unlearning.method import Place, Unlearned
from palimpsest.unlearning.scenarios import Request


def recover(
    start: Parameters,
    request: Request,
    federation: Federation,
    place: Place,
    *,
    rounds: int,
    work: Work | None = None,
) -> Training:
    """Train on the retained samples, with a seed and draws of its own.

    Args:
        start: State dict that the first round starts from.
        request: Samples to forget and to retain. Only clients that retain samples are drawn.
        federation: Data, model, settings and seed.
        place: Folders that the method may use; the rounds are stored in the room "fine-tune".
        rounds: Number of rounds, at least 1.
        work: The clients' work. If omitted, local training with the federation's settings.

    Returns:
        The recovered model, and the record of the rounds.
    """
    holders = [client for client, rows in enumerate(request.retained) if len(rows)]
    tuning = replace(federation, seed=derive_seed(federation.seed, "unlearning", "fine-tune"))
    drawn = draw_schedule(len(holders), federation.config.fraction, rounds, seed=tuning.seed)
    return tuning.run(
        "fine-tune",
        request.retained,
        Schedule(tuple(tuple(holders[index] for index in members) for members in drawn.rounds)),
        start=load_parameters(federation.network(), start),
        work=work,
        scratch=place.room("fine-tune"),
    )


def then_recover(
    unlearned: Unlearned,
    request: Request,
    federation: Federation,
    place: Place,
    *,
    rounds: int,
    work: Work | None = None,
) -> Unlearned:
    """Return the result of a method after recovery.

    Args:
        unlearned: Result of the method.
        request: As for `recover`.
        federation: As for `recover`.
        place: As for `recover`.
        rounds: Number of rounds of recovery; 0 returns the result as it is.
        work: As for `recover`.

    Returns:
        The recovered model, with the rounds and releases of both, and the method's facts.
    """
    if not rounds:
        return unlearned
    tuned = recover(unlearned.parameters, request, federation, place, rounds=rounds, work=work)
    return Unlearned(
        tuned.parameters,
        unlearned.rounds + tuned.rounds,
        unlearned.facts,
        unlearned.releases + tuned.releases,
    )
