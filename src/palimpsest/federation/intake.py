"""Validation of replies: missing, broken and empty ones are excluded, each with a reason."""

import math
from collections.abc import Iterable, Iterator, Sequence

from palimpsest.federation.client import Reply
from palimpsest.federation.history import History
from palimpsest.storage import Parameters

NO_DATA = "no data"
NO_REPLY = "no reply"
EMPTY = "empty reply"
WRONG_SHAPE = "wrong shape"
NOT_FINITE = "not finite"
TOO_LARGE = "too large"
NOT_ASKED = "not asked"

# From 2^24 on, float32 can't represent every integer. Such a parameter means nothing, and its powers soon overflow.
_LARGEST = 2.0**24
_MOST_SAMPLES = 2**31


class Intake:
    """Iterator over the usable replies of one attempt, which records all others with a reason.

    Args:
        replies: Replies in the order of arrival; each is released before the next is taken.
        asked: Clients that were sent the round's work.
        reference: Global parameters, for names, shapes and dtypes.
        history: Where to store the updates of used replies. None means that they are not stored.
        round_index: Index of the round, from 0.

    Attributes:
        used: Clients whose replies were used.
        faults: The reason for each client whose reply was not used.
    """

    def __init__(
        self,
        replies: Iterable[Reply],
        asked: Sequence[int],
        reference: Parameters,
        *,
        history: History | None,
        round_index: int,
    ) -> None:
        """Wait for all the clients that were asked."""
        self._replies = replies
        self._waiting = set(asked)
        self._reference = reference
        self._history = history
        self._round = round_index
        self._weighted_loss = 0.0
        self._samples = 0
        self.used: list[int] = []
        self.faults: dict[int, str] = {}

    def __iter__(self) -> Iterator[Reply]:
        """Yield the usable replies, and record the reason for every other client."""
        for reply in self._replies:
            if reply.client not in self._waiting:
                self.faults.setdefault(reply.client, NOT_ASKED)
                continue
            self._waiting.remove(reply.client)
            reason = fault(reply, self._reference)
            if reason is not None:
                self.faults[reply.client] = reason
                continue
            self.used.append(reply.client)
            self._weighted_loss += reply.samples * reply.loss
            self._samples += reply.samples
            if self._history is not None:
                self._history.add(self._round, reply, self._reference)
            yield reply
        self.faults |= dict.fromkeys(sorted(self._waiting), NO_REPLY)

    @property
    def loss(self) -> float | None:
        """Mean loss of the used clients, weighted by samples; None if no reply was used."""
        return self._weighted_loss / self._samples if self._samples else None

    def without_data(self) -> int:
        """Return the number of asked clients that hold no data, and so can't send a usable reply."""
        return sum(reason == NO_DATA for reason in self.faults.values())


def fault(reply: Reply, reference: Parameters) -> str | None:
    """Check one reply.

    Args:
        reply: Untrusted reply of a client.
        reference: Global parameters, for names, shapes and dtypes.

    Returns:
        The reason why the reply can't be used, or None if it can.
    """
    if reply.samples <= 0:
        return NO_DATA
    if not reply.parameters:
        return EMPTY
    if _layout(reply.parameters) != _layout(reference):
        return WRONG_SHAPE
    if not math.isfinite(reply.loss) or first_not_finite(reply.parameters) is not None:
        return NOT_FINITE
    if reply.samples > _MOST_SAMPLES or _largest(reply.parameters) > _LARGEST:
        return TOO_LARGE
    return None


def _largest(parameters: Parameters) -> float:
    magnitudes = [
        float(value.abs().amax())
        for value in parameters.values()
        if value.is_floating_point() and value.numel()
    ]
    return max(magnitudes, default=0.0)


def first_not_finite(parameters: Parameters) -> str | None:
    """Return the name of the first tensor with a NaN or an infinity, or None if all are finite."""
    return next((name for name, value in parameters.items() if not value.isfinite().all()), None)


def _layout(parameters: Parameters) -> dict[str, tuple[object, ...]]:
    return {name: (value.dtype, *value.shape) for name, value in parameters.items()}
