"""Making a trained federation forget: one call, whatever the scenario and the method."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Round, Schedule, Training
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters, Record
from palimpsest.unlearning.method import Method, Place
from palimpsest.unlearning.scenarios import Request


@dataclass(frozen=True)
class Unlearning(Record):
    """An unlearned global model, and what it forgot."""

    parameters: Parameters
    forgotten: Tensor
    """The forgotten rows of the training images, in the order of the clients, `[n]` int64."""
    owner: Tensor
    """The client that holds each of them, `[n]` int64."""
    participation: dict[int, int]
    """In how many rounds of the original training each unlearning client's reply was used."""
    rounds: list[Round]
    """The rounds that unlearning took."""
    facts: dict[str, float]
    """What else the method tells, by name."""
    notes: list[str]
    """Sentences for the report."""


def unlearn(
    original: Training,
    federation: Federation,
    request: Request,
    unlearning: UnlearningConfig,
    *,
    scratch: Path | None = None,
    history: Path | None = None,
) -> Unlearning:
    """Unlearn what was requested.

    Args:
        original: The trained model.
        federation: The federation that trained it.
        request: What is forgotten.
        unlearning: The method, and whether it starts from a fresh seed.
        scratch: A folder that keeps each finished round, so that a killed run resumes after it.
        history: The folder of the clients' updates that training kept, for a method that needs them.

    Returns:
        The unlearned model. The same arguments give the same bits.

    Raises:
        UnlearningError: The history is missing.
        FederationError: A round had too few replies.
        DivergenceError: The model stopped being finite.
    """
    method = unlearning.build()
    assert isinstance(method, Method)
    schedule = Schedule(tuple(one.drawn for one in original.rounds))
    if unlearning.fresh_seed:
        federation = replace(federation, seed=derive_seed(federation.seed, "unlearning", "fresh"))
        schedule = federation.schedule()
    result = method(original, request, federation, schedule=schedule, place=Place(scratch, history))
    return Unlearning(
        parameters=result.parameters,
        forgotten=request.rows,
        owner=request.owner,
        participation={client: original.participation[client] for client in request.clients},
        rounds=result.rounds,
        facts=result.facts,
        notes=list(_notes(original, request, result.rounds)),
    )


def _notes(original: Training, request: Request, rounds: list[Round]) -> Iterator[str]:
    for swap in original.swaps:
        if swap.client in request.forgotten:
            yield (
                f"Client {swap.client} was never drawn for training and was put into round {swap.round} in "
                f"place of client {swap.replaced}."
            )
    absent = [client for client in request.clients if not original.participation[client]]
    if absent:
        yield (
            f"{_clients(absent)} took part in no round of training: the original model knows nothing of what "
            "is forgotten there."
        )
    idle = [index for index, one in enumerate(rounds) if not one.used]
    if idle:
        yield f"{len(idle)} rounds of unlearning had no client with data left and changed nothing."


def _clients(clients: list[int]) -> str:
    named = ", ".join(map(str, clients[:10])) + (
        f" and {len(clients) - 10} more" if len(clients) > 10 else ""
    )
    return f"Client {named}" if len(clients) == 1 else f"Clients {named}"
