"""What runs the clients: the round loop sees nothing of it but `send`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.errors import FederationError
from palimpsest.federation.client import Payload, Reply, Shard, answer
from palimpsest.federation.flower_engine import flower_simulation


class Backend(Protocol):
    """A way to reach clients."""

    def send(self, clients: Sequence[int], payload: Payload) -> Iterable[Reply]:
        """Have clients do a round's work.

        Args:
            clients: Who is asked, sorted.
            payload: What each of them gets.

        Returns:
            Their replies in the order of the clients, one at a time where that saves memory. A client that
            does not answer is left out.
        """
        ...


class InProcess:
    """All clients in this process, one after the other, on one instance of the model.

    Args:
        model: Reused for every client; what it holds is overwritten.
        images: What the clients' rows point into.
        clients: Each client's rows, int64.
        device: Where the work is done; the images are moved there once.
    """

    def __init__(self, model: nn.Module, images: ImageSet, clients: Sequence[Tensor], *, device: str) -> None:
        self._model = model.to(device)
        self._images = images.images.to(device)
        self._labels = images.labels.to(device)
        self._clients = clients

    def send(self, clients: Sequence[int], payload: Payload) -> Iterator[Reply]:
        """Each client's reply when its turn comes; see `Backend`."""
        for client in clients:
            shard = Shard(self._images, self._labels, self._clients[client])
            yield answer(self._model, client, shard, payload)


@contextmanager
def connect(
    engine: str, model: nn.Module, images: ImageSet, clients: Sequence[Tensor], *, device: str
) -> Iterator[Backend]:
    """The backend that a configuration names, for as long as the context lasts.

    Args:
        engine: `federation.engine`.
        model: An instance of the architecture, to be overwritten.
        images: What the clients' rows point into.
        clients: Each client's rows, int64.
        device: Where the work is done.

    Raises:
        FederationError: There is no such engine, or it did not start.
        MissingDependencyError: Flower is not installed.
    """
    if engine == "in-process":
        yield InProcess(model, images, clients, device=device)
    elif engine == "flower-simulation":
        with flower_simulation(model, images, clients) as backend:
            yield backend
    else:
        raise FederationError(
            f"There is no engine {engine!r}: set federation.engine to 'in-process' or 'flower-simulation'."
        )
