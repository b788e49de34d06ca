"""Which replies enter a round: what is missing, broken or empty is left out, and said so."""

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

# From here on float32 tells no number from the next: such a parameter means nothing, and its square overflows soon.
_LARGEST = 2.0**24
_MOST_SAMPLES = 2**31


class Intake:
    """Iterates over the replies of one attempt that can be used, and keeps account of all.

    Args:
        replies: As they come; each is let go before the next is taken.
        asked: Who was sent the round's work.
        reference: The global parameters, for names and shapes.
        history: Where the updates of used replies are kept.
        round_index: Which round's they are.
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
        """The used clients' mean loss, weighted by samples."""
        return self._weighted_loss / self._samples if self._samples else None

    def without_data(self) -> int:
        """How many of the asked clients hold nothing, which is no fault of theirs."""
        return sum(reason == NO_DATA for reason in self.faults.values())


def fault(reply: Reply, reference: Parameters) -> str | None:
    """Why a reply can't be used, or none.

    Args:
        reply: From any client, trusted in nothing.
        reference: The global parameters, for names and shapes.
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
    sizes = [
        float(value.abs().amax())
        for value in parameters.values()
        if value.is_floating_point() and value.numel()
    ]
    return max(sizes, default=0.0)


def first_not_finite(parameters: Parameters) -> str | None:
    """The name of the first tensor that holds a NaN or an infinity, or none."""
    return next((name for name, value in parameters.items() if not value.isfinite().all()), None)


def _layout(parameters: Parameters) -> dict[str, tuple[object, ...]]:
    return {name: (value.dtype, *value.shape) for name, value in parameters.items()}
