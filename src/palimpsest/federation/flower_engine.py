"""Flower clients, in its simulation on Ray or on other machines."""

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.errors import FederationError
from palimpsest.federation.client import Payload, Reply, answer
from palimpsest.federation.flower_records import (
    pack_payload,
    pack_reply,
    require_flower,
    unpack_payload,
    unpack_reply,
)
from palimpsest.federation.work import Shard
from palimpsest.storage import read_tensors, save_tensors

Prepare = Callable[[int], tuple[nn.Module, Shard]]
"""Function from a client's index to its model and its data."""

_READY_SECONDS = 120.0


class FlowerClients:
    """Backend that reaches clients through a Flower grid.

    Args:
        grid: Flower's grid, as passed to a ServerApp.
        clients: Number of clients; client i runs on the node whose partition-id is i.
        timeout: Seconds to wait for a round's replies; later replies are left out of the round.

    Raises:
        FederationError: Too few nodes connected, or a partition-id is missing.
    """

    def __init__(self, grid: Any, clients: int, *, timeout: float = 3600.0) -> None:
        """Wait for the nodes and find the client of each."""
        self.nodes = _find_nodes(grid, clients)
        self._grid = grid
        self._timeout = timeout
        self._action = ""

    def asking(self, action: str) -> Self:
        """Return a backend that calls another training function of the same clients.

        Args:
            action: Name of the function, as in `@app.train(action)`.
        """
        other = copy(self)
        other._action = f".{action}"
        return other

    def send(self, clients: Sequence[int], payload: Payload) -> Iterator[Reply]:
        """Ask all clients at once, then yield their replies in the order of the clients. See `Backend`."""
        from flwr.app import Message, MessageType

        message_type = f"{MessageType.TRAIN}{self._action}"
        messages = [
            Message(content=pack_payload(payload), message_type=message_type, dst_node_id=self.nodes[client])
            for client in clients
        ]
        answers = self._grid.send_and_receive(messages, timeout=self._timeout)
        replies = [unpack_reply(message.content) for message in answers if not message.has_error()]
        yield from sorted(replies, key=lambda reply: reply.client)


def client_app(prepare: Prepare) -> Any:
    """Build a Flower ClientApp whose clients do the same work as those of the in-process engine.

    Args:
        prepare: Returns the model and the shard of a client. A node's client is its `partition-id`.

    Returns:
        A `flwr.clientapp.ClientApp`.

    Raises:
        MissingDependencyError: Flower is not installed.
    """
    require_flower()
    from flwr.app import Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.query()
    def identify(message: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        return Message(content=RecordDict({"who": MetricRecord({"client": client})}), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        model, shard = prepare(client)
        return Message(
            content=pack_reply(answer(model, client, shard, unpack_payload(message.content))),
            reply_to=message,
        )

    return app


@contextmanager
def flower_simulation(
    model: nn.Module, images: ImageSet, clients: Sequence[Tensor]
) -> Iterator[FlowerClients]:
    """Run clients in Flower's simulation on Ray, one core each, while the context is open.

    The images are written once to a file that every worker maps into memory, so no message contains them.

    Args:
        model: Instance of the architecture.
        images: Training images that the clients' rows index.
        clients: Row indices of each client, int64.

    Yields:
        The backend.

    Raises:
        MissingDependencyError: Flower is not installed.
        FederationError: The simulation did not start.
    """
    require_flower()
    from flwr.serverapp import ServerApp
    from flwr.simulation import run_simulation

    with tempfile.TemporaryDirectory(prefix="palimpsest-") as temporary:
        folder = Path(temporary)
        tensors = {f"rows/{client}": rows for client, rows in enumerate(clients)}
        save_tensors(
            folder / "shards.safetensors", {"images": images.images, "labels": images.labels, **tensors}
        )
        grids: queue.Queue[Any] = queue.Queue()
        finished = threading.Event()
        server = ServerApp()

        @server.main()
        def main(grid: Any, _: Any) -> None:
            grids.put(grid)
            finished.wait()

        def simulate() -> None:
            try:
                run_simulation(
                    server_app=server,
                    client_app=client_app(_ShardReader(model, folder)),
                    num_supernodes=len(clients),
                    backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
                )
            except BaseException as error:  # raised by the waiting thread
                grids.put(error)

        thread = threading.Thread(target=simulate, daemon=True)
        thread.start()
        try:
            yield FlowerClients(_wait_for_grid(grids), len(clients))
        finally:
            finished.set()
            thread.join(_READY_SECONDS)


class _ShardReader:
    """Function that reads any client's shard from a folder; small enough to be sent with every message."""

    def __init__(self, model: nn.Module, folder: Path) -> None:
        self._model = model
        self._folder = folder

    def __call__(self, client: int) -> tuple[nn.Module, Shard]:
        tensors = _read_shards(self._folder)
        return self._model, Shard(tensors["images"], tensors["labels"], tensors[f"rows/{client}"])


@cache
def _read_shards(folder: Path) -> dict[str, Tensor]:
    # Ray gives a worker one core, so more threads would only wait for each other.
    torch.set_num_threads(1)
    return read_tensors(folder / "shards.safetensors")[0]


def _wait_for_grid(grids: "queue.Queue[Any]") -> Any:
    try:
        grid = grids.get(timeout=_READY_SECONDS)
    except queue.Empty:
        raise FederationError(
            f"Flower's simulation did not start within {_READY_SECONDS:.0f} s. See its log above, or use "
            "--federation.engine in-process."
        ) from None
    if isinstance(grid, BaseException):
        raise FederationError(
            f"Flower's simulation stopped before it was ready ({grid}). See its log above."
        ) from grid
    return grid


def _find_nodes(grid: Any, clients: int) -> dict[int, int]:
    """Ask every node for its partition-id, and return the node of each client."""
    from flwr.app import Message, MessageType, RecordDict

    deadline = time.monotonic() + _READY_SECONDS
    while len(nodes := list(grid.get_node_ids())) < clients:
        if time.monotonic() > deadline:
            raise FederationError(
                f"Only {len(nodes)} of {clients} Flower nodes connected within {_READY_SECONDS:.0f} s. "
                "Start the others."
            )
        time.sleep(0.2)
    queries = [
        Message(content=RecordDict(), message_type=MessageType.QUERY, dst_node_id=node) for node in nodes
    ]
    found = {
        int(answer.content["who"]["client"]): answer.metadata.src_node_id
        for answer in grid.send_and_receive(queries, timeout=_READY_SECONDS)
        if not answer.has_error()
    }
    missing = [client for client in range(clients) if client not in found]
    if missing:
        raise FederationError(
            f"No Flower node has the partition-id {missing[0]}. "
            f"Give each node a different one, from 0 to {clients - 1}."
        )
    return found
