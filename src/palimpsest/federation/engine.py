"""Engines that run the clients; the round loop only calls their `send`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.errors import FederationError
from palimpsest.federation.client import Payload, Reply, answer
from palimpsest.federation.flower_engine import flower_simulation
from palimpsest.federation.work import Shard


class Backend(Protocol):
    """Interface through which the round loop reaches the clients."""

    def send(self, clients: Sequence[int], payload: Payload) -> Iterable[Reply]:
        """Have clients carry out a round's work.

        Args:
            clients: Indices of the clients to ask, sorted.
            payload: Message to each of them.

        Returns:
            Their replies in the order of the clients, one at a time where that saves memory. A client that does not
            answer is left out.
        """
        ...


class InProcess:
    """Backend that runs all clients in this process, one after another, on one instance of the model.

    Args:
        model: Instance of the architecture to reuse for every client; its parameters are overwritten.
        images: Training images that the clients' rows index.
        clients: Row indices of each client, int64.
        device: Torch device to compute on; the images are moved there once.
    """

    def __init__(self, model: nn.Module, images: ImageSet, clients: Sequence[Tensor], *, device: str) -> None:
        """Move the model and the images to the device."""
        self._model = model.to(device)
        self._images = images.images.to(device)
        self._labels = images.labels.to(device)
        self._clients = clients

    def send(self, clients: Sequence[int], payload: Payload) -> Iterator[Reply]:
        """Yield each client's reply; a client works when its reply is requested. See `Backend`."""
        for client in clients:
            shard = Shard(self._images, self._labels, self._clients[client])
            yield answer(self._model, client, shard, payload)


@contextmanager
def connect(
    engine: str, model: nn.Module, images: ImageSet, clients: Sequence[Tensor], *, device: str
) -> Iterator[Backend]:
    """Start an engine and keep it running while the context is open.

    Args:
        engine: Value of `federation.engine`: "in-process" or "flower-simulation".
        model: Instance of the architecture; its parameters are overwritten.
        images: Training images that the clients' rows index.
        clients: Row indices of each client, int64.
        device: Torch device that the in-process engine computes on.

    Yields:
        The backend.

    Raises:
        FederationError: The engine is unknown or did not start.
        MissingDependencyError: Flower is not installed.
    """
    if engine == "in-process":
        yield InProcess(model, images, clients, device=device)
    elif engine == "flower-simulation":
        with flower_simulation(model, images, clients) as backend:
            yield backend
    else:
        raise FederationError(
            f"There is no engine {engine!r}. Set federation.engine to 'in-process' or 'flower-simulation'."
        )
