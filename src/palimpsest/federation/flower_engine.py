"""Clients that Flower reaches: in its simulation on Ray, or on other machines."""

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
from palimpsest.federation.client import Payload, Reply, Shard, answer
from palimpsest.federation.flower_records import (
    pack_payload,
    pack_reply,
    require_flower,
    unpack_payload,
    unpack_reply,
)
from palimpsest.storage import read_tensors, save_tensors

Prepare = Callable[[int], tuple[nn.Module, Shard]]
"""A client's model and what it holds, from its number."""

_READY_SECONDS = 120.0


class FlowerClients:
    """A backend over a Flower grid.

    Args:
        grid: Flower's grid, as a ServerApp is given it.
        clients: How many clients there are; client i runs on the node whose partition-id is i.
        timeout: Seconds to wait for a round's replies; a client that is late is left out of the round.
    """

    def __init__(self, grid: Any, clients: int, *, timeout: float = 3600.0) -> None:
        self.nodes = _find_nodes(grid, clients)
        self._grid = grid
        self._timeout = timeout
        self._action = ""

    def asking(self, action: str) -> Self:
        """The same clients, asked for another training function of theirs: `@app.train(action)`."""
        other = copy(self)
        other._action = f".{action}"
        return other

    def send(self, clients: Sequence[int], payload: Payload) -> Iterator[Reply]:
        """Ask the clients at once; their replies in the order of the clients. See `Backend`."""
        from flwr.app import Message, MessageType

        kind = f"{MessageType.TRAIN}{self._action}"
        messages = [
            Message(content=pack_payload(payload), message_type=kind, dst_node_id=self.nodes[client])
            for client in clients
        ]
        answers = self._grid.send_and_receive(messages, timeout=self._timeout)
        replies = [unpack_reply(message.content) for message in answers if not message.has_error()]
        yield from sorted(replies, key=lambda reply: reply.client)


def client_app(prepare: Prepare) -> Any:
    """A Flower ClientApp that does what the in-process engine's clients do.

    Args:
        prepare: Gives the model and the shard of the client whose number is the node's `partition-id`.
    """
    require_flower()
    from flwr.app import Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.query()
    def who(message: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        return Message(content=RecordDict({"who": MetricRecord({"client": client})}), reply_to=message)

    @app.train()
    def work(message: Message, context: Context) -> Message:
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
    """Clients in Flower's simulation on Ray, one core each, for as long as the context lasts.

    The images are written once to a file that every worker maps: nothing of them travels with a message.

    Args:
        model: An instance of the architecture.
        images: What the clients' rows point into.
        clients: Each client's rows, int64.

    Raises:
        MissingDependencyError: Flower is not installed.
        FederationError: The simulation did not start.
    """
    require_flower()
    from flwr.serverapp import ServerApp
    from flwr.simulation import run_simulation

    with tempfile.TemporaryDirectory(prefix="palimpsest-") as name:
        folder = Path(name)
        rows = {f"rows/{client}": held for client, held in enumerate(clients)}
        save_tensors(
            folder / "shards.safetensors", {"images": images.images, "labels": images.labels, **rows}
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
                    client_app=client_app(_FromFolder(model, folder)),
                    num_supernodes=len(clients),
                    backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
                )
            except BaseException as error:  # handed over to the thread that waits
                grids.put(error)

        thread = threading.Thread(target=simulate, daemon=True)
        thread.start()
        try:
            yield FlowerClients(_started(grids), len(clients))
        finally:
            finished.set()
            thread.join(_READY_SECONDS)


class _FromFolder:
    """What a worker needs to act for any client, small enough to travel with every message."""

    def __init__(self, model: nn.Module, folder: Path) -> None:
        self._model = model
        self._folder = folder

    def __call__(self, client: int) -> tuple[nn.Module, Shard]:
        tensors = _mapped(self._folder)
        return self._model, Shard(tensors["images"], tensors["labels"], tensors[f"rows/{client}"])


@cache
def _mapped(folder: Path) -> dict[str, Tensor]:
    # Ray gives a worker one core; as many threads as the machine has would only wait for each other.
    torch.set_num_threads(1)
    return read_tensors(folder / "shards.safetensors")[0]


def _started(grids: "queue.Queue[Any]") -> Any:
    try:
        grid = grids.get(timeout=_READY_SECONDS)
    except queue.Empty:
        raise FederationError(
            f"Flower's simulation did not start within {_READY_SECONDS:.0f} s: see its log above, or use "
            "--federation.engine in-process."
        ) from None
    if isinstance(grid, BaseException):
        raise FederationError(
            f"Flower's simulation ended before it began ({grid}): see its log above."
        ) from grid
    return grid


def _find_nodes(grid: Any, clients: int) -> dict[int, int]:
    """Which node is which client: each tells its partition-id."""
    from flwr.app import Message, MessageType, RecordDict

    deadline = time.monotonic() + _READY_SECONDS
    while len(nodes := list(grid.get_node_ids())) < clients:
        if time.monotonic() > deadline:
            raise FederationError(
                f"{len(nodes)} of {clients} Flower nodes came within {_READY_SECONDS:.0f} s: start the others."
            )
        time.sleep(0.2)
    asked = [
        Message(content=RecordDict(), message_type=MessageType.QUERY, dst_node_id=node) for node in nodes
    ]
    found = {
        int(answer.content["who"]["client"]): answer.metadata.src_node_id
        for answer in grid.send_and_receive(asked, timeout=_READY_SECONDS)
        if not answer.has_error()
    }
    missing = [client for client in range(clients) if client not in found]
    if missing:
        raise FederationError(
            f"No Flower node has the partition-id {missing[0]}: give each node one of 0 to {clients - 1}."
        )
    return found
