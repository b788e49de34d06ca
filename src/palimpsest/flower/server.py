"""Server side of the audit: a strategy wrapper that saves the models around unlearning and collects the proofs."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palimpsest.errors import FederationError
from palimpsest.federation.flower_records import pack_parameters, require_flower, unpack_parameters
from palimpsest.flower.messages import (
    INSTRUCTION,
    METADATA,
    ORIGINAL,
    PROOFS,
    REFUSAL,
    REQUEST,
    UNLEARNED,
    instructs,
)
from palimpsest.proofs import Delivery, Proofs, receive_proofs, save_proofs
from palimpsest.storage import Parameters, parameters_hash, save_tensors, write_json

_SHARED = ("defenses", "trainable", "parameters", "classes", "classes_from")
log = logging.getLogger(__name__)


class Audited:
    """Wrapper that audits any Flower strategy: `strategy = Audited(FedAvg(...), "audit")`.

    The rest of the app does not change. Training and unlearning may be two calls of `start` or one. The messages to the
    clients show which of them must forget. The original model is the result of the previous `start` or, if there was
    none, the model that was sent with the first instruction.

    After a `start` with instructions, the wrapper requests proofs from the clients that got one. The folder then holds
    `original.safetensors`, `unlearned.safetensors`, `proofs.safetensors` and `deliveries.json`, which
    `palimpsest attack` takes. The files of a second `start` with instructions are in its subfolder `2`, and so on.

    Args:
        strategy: The app's strategy. The wrapper also offers all of its attributes.
        folder: Folder for the models and the proofs.
        instruction: Key of the app's configuration that instructs a client to forget.
        timeout: Seconds that the clients have to send their proofs.

    Raises:
        MissingDependencyError: Flower is not installed.
    """

    def __init__(
        self, strategy: Any, folder: str | Path, *, instruction: str = INSTRUCTION, timeout: float = 3600.0
    ) -> None:
        """Wrap the strategy."""
        require_flower()
        self.strategy = strategy
        self.folder = Path(folder)
        self.instruction = instruction
        self.timeout = timeout
        self._original: Parameters = {}
        self._known: frozenset[str] = frozenset()
        self._requests = 0

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped strategy."""
        # copy and pickle look attributes up before the strategy is set.
        if name == "strategy":
            raise AttributeError(name)
        return getattr(self.strategy, name)

    def start(self, grid: Any, *arguments: Any, **settings: Any) -> Any:
        """Run the strategy, then collect proofs; see Flower's `Strategy.start` for arguments and result.

        Raises:
            FederationError: The first instruction was sent without a model, or unlearning produced no model.
        """
        watched = _WatchedGrid(grid, self.instruction)
        result = self.strategy.start(watched, *arguments, **settings)
        final = unpack_parameters(result.arrays)
        if watched.instructed:
            self._audit(watched, final)
        self._original = final or self._original
        return result

    def _audit(self, watched: "_WatchedGrid", unlearned: Parameters) -> None:
        """Request proofs from the instructed clients, and save everything that an audit needs."""
        if not unlearned:
            raise FederationError(
                "The unlearning rounds produced no model. See Flower's log for the clients' answers."
            )
        original, nodes = self._original or watched.first_model, sorted(watched.instructed)
        self._requests += 1
        folder = self.folder if self._requests == 1 else self.folder / str(self._requests)
        save_tensors(folder / "original.safetensors", original)
        save_tensors(folder / "unlearned.safetensors", unlearned)
        answers = _read_answers(
            watched.send_and_receive(_requests(nodes, original, unlearned), timeout=self.timeout), nodes
        )
        hashes = {"original": parameters_hash(original), "unlearned": parameters_hash(unlearned)}
        received = receive_proofs(
            answers.deliveries,
            {delivery.client: len(delivery.vectors) for delivery in answers.deliveries},
            dimension=_most_common_length(answers.deliveries),
            known=self._known,
            **hashes,
        )
        self._known |= received.digests
        faults = answers.faults | received.faults
        owners = [int(client) for client in received.owners]
        # Node numbers are strings, because they exceed the integers that many JSON readers can represent.
        summary = {
            **hashes,
            "instructed": [str(node) for node in nodes],
            "names": {
                str(nodes[delivery.client]): delivery.metadata.get("client", "")
                for delivery in answers.deliveries
            },
            "nothing_to_forget": [str(nodes[client]) for client in answers.empty],
            "owners": [str(nodes[client]) for client in owners],
            "faults": {str(nodes[client]): faults[client] for client in sorted(faults)},
        }
        write_json(folder / "deliveries.json", summary)
        if not owners:
            log.warning("No client sent a usable proof. The reasons are in %s.", folder / "deliveries.json")
            return
        claims = [delivery.metadata for delivery in answers.deliveries if delivery.client in owners]
        metadata = {**hashes, "loss": "cross_entropy", **_agreed(claims)}
        save_proofs(folder / "proofs.safetensors", Proofs(received.vectors, metadata))


@dataclass(frozen=True)
class _Answers:
    """Answers to the requests for proofs. Clients are numbered in the order of the nodes that were asked.

    Args:
        deliveries: Proofs, each with the sender that Flower reports.
        empty: Clients that had nothing to forget.
        faults: The reason for each other client without proofs.
    """

    deliveries: list[Delivery]
    empty: list[int]
    faults: dict[int, str]


def _read_answers(replies: Iterable[Any], nodes: Sequence[int]) -> _Answers:
    answers = _Answers([], [], {})
    clients = {node: client for client, node in enumerate(nodes)}
    for reply in replies:
        client = clients[int(reply.metadata.src_node_id)]
        if reply.has_error():
            answers.faults[client] = f"Flower reports an error: {reply.error.reason}"[:300]
        elif REFUSAL in reply.content:
            answers.faults[client] = str(dict(reply.content[REFUSAL]).get("reason", ""))[:300]
        elif (delivery := _parse_delivery(client, reply.content)) is None:
            answers.faults[client] = "Sent no proofs. Check that its app has the mod."
        elif len(delivery.vectors):
            answers.deliveries.append(delivery)
        else:
            answers.empty.append(client)
    answered = {*answers.empty, *answers.faults, *(delivery.client for delivery in answers.deliveries)}
    answers.faults.update(
        {client: "Sent no answer in time." for client in clients.values() if client not in answered}
    )
    return answers


def _parse_delivery(client: int, content: Any) -> Delivery | None:
    """Read a client's untrusted answer; return None if it contains no proofs."""
    try:
        vectors = unpack_parameters(content[PROOFS])["vectors"]
        metadata = {str(name): str(value) for name, value in content[METADATA].items()}
    # An untrusted answer may be malformed in any way.
    except Exception:
        return None
    return Delivery(client, vectors, metadata) if vectors.ndim == 2 else None


def _agreed(claims: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what all senders say about their defenses, their trainable parameters and their classes."""
    first = claims[0]
    return {
        name: first[name]
        for name in _SHARED
        if name in first and all(claim.get(name) == first[name] for claim in claims)
    }


def _most_common_length(deliveries: Sequence[Delivery]) -> int:
    """Return the most common length of a proof: the server has no network whose parameters it could count."""
    lengths = Counter(delivery.vectors.shape[1] for delivery in deliveries)
    return lengths.most_common(1)[0][0] if lengths else 0


def _requests(nodes: Sequence[int], original: Parameters, unlearned: Parameters) -> list[Any]:
    from flwr.app import ConfigRecord, Message, MessageType, RecordDict

    content = {
        REQUEST: ConfigRecord({"version": 1}),
        ORIGINAL: pack_parameters(original),
        UNLEARNED: pack_parameters(unlearned),
    }
    # A training message reaches the mods of any app, because every app has a function for training.
    return [
        Message(content=RecordDict(content), message_type=MessageType.TRAIN, dst_node_id=node)
        for node in nodes
    ]


class _WatchedGrid:
    """Wrapper of Flower's grid that records the clients instructed to forget, and the first instruction.

    Args:
        grid: Flower's grid.
        instruction: Key that instructs a client to forget.
    """

    def __init__(self, grid: Any, instruction: str) -> None:
        self._grid = grid
        self._instruction = instruction
        self._first: Any = None
        self.instructed: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)

    @property
    def first_model(self) -> Parameters:
        """Model that was sent with the first instruction.

        Raises:
            FederationError: The instruction was sent without a model.
        """
        records = list(self._first.content.array_records.values())
        if not records:
            raise FederationError(
                "The instruction to forget was sent without a model, and there was no training before it, so the "
                "original model is unknown. Start the strategy once without the instruction first."
            )
        return unpack_parameters(records[0])

    def send_and_receive(self, messages: Iterable[Any], **settings: Any) -> Any:
        """Send messages and return the replies; see Flower's `Grid`."""
        return self._grid.send_and_receive(self._watched(messages), **settings)

    def push_messages(self, messages: Iterable[Any]) -> Any:
        """Send messages and return their identifiers; see Flower's `Grid`."""
        return self._grid.push_messages(self._watched(messages))

    def _watched(self, messages: Iterable[Any]) -> Iterator[Any]:
        for message in messages:
            if instructs(message, self._instruction):
                self._first = self._first or message
                self.instructed.add(int(message.metadata.dst_node_id))
            yield message
