"""Unlearning of a trained federation, with any scenario and method."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Release, Round, Schedule, Training
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters, Record
from palimpsest.unlearning.method import Method, Place
from palimpsest.unlearning.scenarios import Request


@dataclass(frozen=True)
class Unlearning(Record):
    """Unlearned global model, and the samples that it forgot."""

    parameters: Parameters
    forgotten: Tensor
    """Forgotten rows of the training images, in the order of the clients, `[n]` int64."""
    owner: Tensor
    """Client that holds each of them, `[n]` int64."""
    participation: dict[int, int]
    """Number of rounds of the original training in which each unlearning client's reply was used."""
    rounds: list[Round]
    """Rounds that unlearning took."""
    facts: dict[str, float]
    """Further numbers from the method, by name."""
    notes: list[str]
    """Sentences for the report."""
    releases: list[Release] = field(default_factory=list[Release])
    """Steps of DP-SGD of each client in unlearning; empty if unlearning is not private."""


def unlearn(
    original: Training,
    federation: Federation,
    request: Request,
    unlearning: UnlearningConfig,
    *,
    scratch: Path | None = None,
    history: Path | None = None,
) -> Unlearning:
    """Unlearn the requested samples.

    Args:
        original: Trained model, and record of its rounds.
        federation: Federation that trained it.
        request: Samples to forget and to retain.
        unlearning: The method, and whether it uses a fresh seed.
        scratch: Folder that stores each finished round, after which a killed run resumes. If omitted, rounds are not
            stored.
        history: Folder of the clients' updates that training stored, for a method that needs them.

    Returns:
        The unlearned model. The same arguments give the same bits.

    Raises:
        UnlearningError: The method needs a history that is missing.
        FederationError: A round had too few replies.
        DivergenceError: The model is no longer finite.
    """
    method = unlearning.build()
    assert isinstance(method, Method)
    schedule = Schedule(tuple(finished.drawn for finished in original.rounds))
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
        releases=result.releases,
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
            f"{_clients(absent)} took part in no training round, so the original model never learned the samples "
            "that are forgotten there."
        )
    idle = [index for index, finished in enumerate(rounds) if not finished.used]
    if idle:
        yield f"{len(idle)} of {len(rounds)} unlearning rounds changed nothing, because no client had data left."


def _clients(clients: list[int]) -> str:
    named = ", ".join(map(str, clients[:10])) + (
        f" and {len(clients) - 10} more" if len(clients) > 10 else ""
    )
    return f"Client {named}" if len(clients) == 1 else f"Clients {named}"
