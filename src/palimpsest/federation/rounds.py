"""The round loop: send, take in, aggregate, remember; a killed server goes on from its last round."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

from palimpsest.errors import DivergenceError, FederationError, RunError
from palimpsest.federation.aggregation import Aggregator
from palimpsest.federation.client import Payload, Reply, Work
from palimpsest.federation.engine import Backend
from palimpsest.federation.history import History
from palimpsest.federation.intake import NOT_FINITE, TOO_LARGE, Intake, first_not_finite
from palimpsest.federation.schedule import Schedule, Swap
from palimpsest.progress import progress_line
from palimpsest.storage import Parameters, Record, parameters_hash


@dataclass(frozen=True)
class Round:
    """What happened in one round."""

    drawn: tuple[int, ...]
    """Who was to train."""
    used: tuple[int, ...]
    """Whose replies made the next global model; nobody's where no drawn client holds data."""
    excluded: dict[int, str]
    """Whose did not, and why."""
    attempts: int
    """How often the round was tried."""
    loss: float | None
    """The used clients' mean training loss, weighted by samples."""


@dataclass(frozen=True)
class Training(Record):
    """A trained global model, and who took part in it."""

    parameters: Parameters
    participation: list[int]
    """In how many rounds each client's reply was used."""
    rounds: list[Round]
    swaps: list[Swap]
    """Who was put into which round to guarantee participation."""


@dataclass(frozen=True)
class Plan:
    """What a sequence of rounds does, whoever runs the clients.

    Args:
        title: What the progress line says.
        clients: How many clients there are.
        schedule: Who trains in each round.
        work: What they are asked to do.
        aggregation: What becomes of their replies.
        trainable: Names of the parameters; the model's other tensors are buffers.
        seed: Clients' streams in each round follow from it.
        minimum_replies: How many usable replies a round needs of the clients that hold data.
        attempts: How often a round is tried.
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
    """All that the next round depends on."""

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
        plan: What to do.
        backend: Reaches the clients.
        start: The first global parameters, in main memory.
        scratch: A folder where each finished round is kept; a run that finds one there goes on after it.
        history: A folder for every used client's update, where a method will need them.

    Raises:
        FederationError: Too few clients answered, however often a round was tried.
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
    for one in state.rounds:
        for client in one.used:
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
            _refuse_not_finite(parameters, index)
            done = Round(drawn, tuple(intake.used), intake.faults, attempt, intake.loss)
            return _State(state.plan, parameters, server, [*state.rounds, done])
        faults = intake.faults
        if faults and not intake.used and set(faults.values()) <= {NOT_FINITE, TOO_LARGE}:
            raise DivergenceError(
                f"Training diverged in round {index}: every client's loss or parameters became NaN, "
                "infinite or absurdly large; lower federation.learning_rate."
            )
    raise FederationError(
        f"Round {index} was tried {plan.attempts} times and had fewer than {plan.minimum_replies} usable "
        f"replies from {len(drawn)} clients ({_listed(faults)}): see to those clients, or lower "
        "federation.minimum_replies."
    )


def _aggregate(plan: Plan, intake: Intake, state: _State) -> tuple[Parameters, Parameters]:
    usable = iter(intake)
    first = next(usable, None)
    if first is None:
        return state.parameters, state.server
    replies: Iterable[Reply] = chain([first], usable)
    del first  # else the first reply would be held until the last one is in
    return plan.aggregation(
        state.parameters, replies, state.server, round_index=len(state.rounds), trainable=plan.trainable
    )


def _refuse_not_finite(parameters: Parameters, index: int) -> None:
    name = first_not_finite(parameters)
    if name is not None:
        raise DivergenceError(
            f"The global model's {name!r} is not finite after round {index}: lower federation.learning_rate, "
            "or the aggregation's step size."
        )


def _listed(faults: dict[int, str]) -> str:
    shown = [f"client {client}: {reason}" for client, reason in sorted(faults.items())[:5]]
    return "; ".join([*shown, f"and {len(faults) - 5} more"] if len(faults) > 5 else shown)


def _fingerprint(plan: Plan, start: Parameters) -> str:
    return sha256(f"{plan!r} {parameters_hash(start)}".encode()).hexdigest()


def _resume(file: Path, fresh: _State) -> _State:
    state = _State.load(file)
    if state.plan != fresh.plan:
        raise RunError(
            f"{file} holds the rounds of another training: remove it, or give another scratch folder."
        )
    return state
