"""Global models of every round, computed again from the clients' stored updates."""

from collections.abc import Iterator

from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, History, Reply, Training, snapshot
from palimpsest.storage import Parameters
from palimpsest.unlearning.method import Place


def stored_history(place: Place, method: str) -> History:
    """Return the clients' stored updates.

    Args:
        place: Folders that the method may use.
        method: Name of the method, for the message.

    Raises:
        UnlearningError: No updates were stored.
    """
    if place.history is None:
        raise UnlearningError(
            f"The method {method!r} needs the clients' updates, but none were stored. Train with a history folder "
            "first."
        )
    return History(place.history)


def replay(original: Training, federation: Federation, history: History) -> Iterator[Parameters]:
    """Yield the global model before each round, then the one after the last round.

    The server aggregates the clients' mean update, as in training. The models equal those of training up to rounding;
    integer buffers keep their initial values.

    Args:
        original: Record of the rounds.
        federation: Model, aggregation and seed.
        history: The clients' stored updates of these rounds.

    Yields:
        State dicts, one more than there are rounds.

    Raises:
        UnlearningError: An update is missing or unreadable.
    """
    model = federation.network()
    trainable = tuple(name for name, _ in model.named_parameters())
    current, state = snapshot(model), {}
    server = federation.aggregation
    for index, finished in enumerate(original.rounds):
        yield current
        if not finished.used:
            continue
        change = history.mean_update(index, finished.used)
        mean = current | {name: current[name] + value for name, value in change.items()}
        reply = Reply(client=-1, samples=1, parameters=mean, loss=0.0)
        current, state = server(current, [reply], state, round_index=index, trainable=trainable)
    yield current
