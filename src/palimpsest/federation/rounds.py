"""Round loop: send, validate, aggregate, store. A killed server resumes after its last finished round."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path

from palimpsest.errors import DivergenceError, FederationError, RunError
from palimpsest.federation.aggregation import Aggregator
from palimpsest.federation.client import Payload, Reply
from palimpsest.federation.dp_sgd import Release
from palimpsest.federation.engine import Backend
from palimpsest.federation.history import History
from palimpsest.federation.intake import NOT_FINITE, TOO_LARGE, Intake, first_not_finite
from palimpsest.federation.schedule import Schedule, Swap
from palimpsest.federation.work import Work
from palimpsest.progress import progress_line
from palimpsest.storage import Parameters, Record, parameters_hash


@dataclass(frozen=True)
class Round:
    """Record of one round."""

    drawn: tuple[int, ...]
    """Clients that were drawn for the round."""
    used: tuple[int, ...]
    """Clients whose replies were aggregated; empty if no drawn client holds data."""
    excluded: dict[int, str]
    """The reason for each client whose reply was excluded."""
    attempts: int
    """Number of attempts that the round took."""
    loss: float | None
    """Mean training loss of the used clients, weighted by samples; None if there were none."""


@dataclass(frozen=True)
class Training(Record):
    """Trained global model, and record of the rounds."""

    parameters: Parameters
    participation: list[int]
    """Number of rounds in which each client's reply was used."""
    rounds: list[Round]
    swaps: list[Swap]
    """Clients that were put into a round to guarantee their participation."""
    releases: list[Release] = field(default_factory=list[Release])
    """Steps of DP-SGD of each client; empty if training is not private."""


@dataclass(frozen=True)
class Plan:
    """Description of a sequence of rounds, independent of the engine that runs the clients.

    Args:
        title: Label of the progress line.
        clients: Number of clients.
        schedule: Clients of each round.
        work: The clients' work.
        aggregation: Aggregation of their replies.
        trainable: Names of the trainable parameters; the model's other tensors are buffers.
        seed: Seed from which each client's seed in each round is derived.
        minimum_replies: Usable replies that a round needs. If fewer of its clients hold data, their number is enough.
        attempts: Largest number of attempts at a round.
    """

    title: str
    clients: int
    schedule: Schedule
    work: Work
    aggregation: Aggregator
    trainable: tuple[str, ...]
    seed: int
    minimum_replies: int = 1
    attempts: int = 1


@dataclass(frozen=True)
class _State(Record):
    """Everything that the next round depends on."""

    plan: str
    parameters: Parameters
    server: Parameters
    rounds: list[Round]


def run_rounds(
    plan: Plan,
    backend: Backend,
    start: Parameters,
    *,
    scratch: Path | None = None,
    history: Path | None = None,
) -> Training:
    """Run the plan's rounds.

    Args:
        plan: Description of the rounds.
        backend: Backend that reaches the clients.
        start: First global parameters, in main memory.
        scratch: Folder that stores each finished round; a later call resumes after it. If omitted, rounds are not
            stored.
        history: Folder for the update of every used client, for an unlearning method that needs them. If omitted,
            updates are not stored.

    Returns:
        The global model after the last round, and the record of the rounds.

    Raises:
        FederationError: A round had too few usable replies in every attempt.
        DivergenceError: No reply was finite, or the global model is not.
        RunError: `scratch` holds the rounds of another plan.
    """
    file = scratch / "rounds.safetensors" if scratch else None
    state = _State(_fingerprint(plan, start), start, {}, [])
    if file and file.is_file():
        state = _resume(file, state)
    with progress_line(plan.title, len(plan.schedule.rounds), done=len(state.rounds)) as line:
        while len(state.rounds) < len(plan.schedule.rounds):
            state = _next_round(plan, backend, state, History(history) if history else None)
            if file:
                state.save(file)
            loss = state.rounds[-1].loss
            line.advance(values={} if loss is None else {"loss": loss})
    participation = [0] * plan.clients
    for finished in state.rounds:
        for client in finished.used:
            participation[client] += 1
    return Training(state.parameters, participation, state.rounds, list(plan.schedule.swaps))


def _next_round(plan: Plan, backend: Backend, state: _State, history: History | None) -> _State:
    index = len(state.rounds)
    drawn = plan.schedule.rounds[index]
    payload = Payload(index, plan.seed, plan.work, state.parameters)
    faults: dict[int, str] = {}
    for attempt in range(1, plan.attempts + 1):
        replies = backend.send(drawn, payload) if drawn else ()
        intake = Intake(replies, drawn, state.parameters, history=history, round_index=index)
        parameters, server = _aggregate(plan, intake, state)
        answerable = len(drawn) - intake.without_data()
        if len(intake.used) >= min(plan.minimum_replies, answerable):
            _check_finite(parameters, index)
            finished = Round(drawn, tuple(intake.used), intake.faults, attempt, intake.loss)
            return _State(state.plan, parameters, server, [*state.rounds, finished])
        faults = intake.faults
        if faults and not intake.used and set(faults.values()) <= {NOT_FINITE, TOO_LARGE}:
            raise DivergenceError(
                f"Training diverged in round {index}: every client's loss or parameters became NaN, "
                "infinite or too large. Try a lower federation.learning_rate."
            )
    raise FederationError(
        f"Round {index} was tried {plan.attempts} times and had fewer than {plan.minimum_replies} usable "
        f"replies from {len(drawn)} clients ({_describe(faults)}). Check these clients, or lower "
        "federation.minimum_replies."
    )


def _aggregate(plan: Plan, intake: Intake, state: _State) -> tuple[Parameters, Parameters]:
    usable = iter(intake)
    first = next(usable, None)
    if first is None:
        return state.parameters, state.server
    replies: Iterable[Reply] = chain([first], usable)
    del first  # otherwise, it would stay in memory until the last reply has arrived
    return plan.aggregation(
        state.parameters, replies, state.server, round_index=len(state.rounds), trainable=plan.trainable
    )


def _check_finite(parameters: Parameters, index: int) -> None:
    name = first_not_finite(parameters)
    if name is not None:
        raise DivergenceError(
            f"The global model's {name!r} is not finite after round {index}. Lower federation.learning_rate, "
            "or the aggregation's step size."
        )


def _describe(faults: dict[int, str]) -> str:
    first = [f"client {client}: {reason}" for client, reason in sorted(faults.items())[:5]]
    return "; ".join([*first, f"and {len(faults) - 5} more"] if len(faults) > 5 else first)


def _fingerprint(plan: Plan, start: Parameters) -> str:
    return sha256(f"{plan!r} {parameters_hash(start)}".encode()).hexdigest()


def _resume(file: Path, fresh: _State) -> _State:
    state = _State.load(file)
    if state.plan != fresh.plan:
        raise RunError(
            f"{file} holds the rounds of another training. Remove it, or choose another scratch folder."
        )
    return state
