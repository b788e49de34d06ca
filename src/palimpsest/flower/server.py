"""The server's side: a strategy that keeps the models before and after unlearning, and collects the proofs."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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

log = logging.getLogger(__name__)


class Audited:
    """Any Flower strategy, audited: `strategy = Audited(FedAvg(...), "audit")`, and everything else stays as it was.

    Training and unlearning may be two calls of `start` or one. Whoever is told to forget is known from the messages
    that pass. The model before is what the last `start` without such an instruction ended with, or, where there was
    none, what the first instruction was sent with. After a `start` with instructions the clients that got one are
    asked for proofs, and the folder holds `original.safetensors`, `unlearned.safetensors`, `proofs.safetensors` and
    `deliveries.json`: what `palimpsest attack` takes. A second request to forget goes into
    a folder `2` in it, and so on.

    Args:
        strategy: The app's own; every attribute of it is reached through this one.
        folder: Where the models and the proofs are kept.
        instruction: The key of the app's configuration that tells a client to forget.
        timeout: Seconds that the clients have for their proofs.

    Raises:
        MissingDependencyError: Flower is not installed.
    """

    def __init__(
        self, strategy: Any, folder: str | Path, *, instruction: str = INSTRUCTION, timeout: float = 3600.0
    ) -> None:
        require_flower()
        self.strategy = strategy
        self.folder = Path(folder)
        self.instruction = instruction
        self.timeout = timeout
        self._original: Parameters = {}
        self._known: frozenset[str] = frozenset()
        self._requests = 0

    def __getattr__(self, name: str) -> Any:
        # Asked for while the object is still being made, as by copy and pickle.
        if name == "strategy":
            raise AttributeError(name)
        return getattr(self.strategy, name)

    def start(self, grid: Any, *arguments: Any, **settings: Any) -> Any:
        """Run the app's strategy; see Flower's `Strategy.start` for arguments and result.

        Raises:
            FederationError: An instruction was sent without a model, or no model came of it.
        """
        watched = _WatchedGrid(grid, self.instruction)
        result = self.strategy.start(watched, *arguments, **settings)
        final = unpack_parameters(result.arrays)
        if watched.told:
            self._audit(watched, final)
        self._original = final or self._original
        return result

    def _audit(self, watched: "_WatchedGrid", unlearned: Parameters) -> None:
        """Ask those who were told to forget for their proofs, and keep what an audit takes."""
        if not unlearned:
            raise FederationError(
                "No model came of the rounds of unlearning: see Flower's log for what its clients answered."
            )
        original, nodes = self._original or watched.sent, sorted(watched.told)
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
            {one.client: len(one.vectors) for one in answers.deliveries},
            dimension=_commonest_length(answers.deliveries),
            known=self._known,
            **hashes,
        )
        self._known |= received.digests
        faults = answers.faults | received.faults
        owners = [int(place) for place in received.owners]
        # A node's number is larger than JSON's readers and tensors take.
        told = {
            **hashes,
            "told": [str(node) for node in nodes],
            "names": {str(nodes[one.client]): one.metadata.get("client", "") for one in answers.deliveries},
            "nothing_to_forget": [str(nodes[place]) for place in answers.empty],
            "owners": [str(nodes[place]) for place in owners],
            "faults": {str(nodes[place]): faults[place] for place in sorted(faults)},
        }
        write_json(folder / "deliveries.json", told)
        if not owners:
            log.warning("Nobody handed in a usable proof: %s says why.", folder / "deliveries.json")
            return
        said = {one.metadata.get("defenses") for one in answers.deliveries if one.client in owners}
        metadata = {**hashes, "loss": "cross_entropy"}
        if len(said) == 1 and None not in said:
            metadata["defenses"] = str(said.pop())
        save_proofs(folder / "proofs.safetensors", Proofs(received.vectors, metadata))


@dataclass(frozen=True)
class _Answers:
    """What came back of a request for proofs; clients are numbered in the order of the nodes that were asked.

    Args:
        deliveries: Proofs, each of them from whom Flower says that it came.
        empty: Who had nothing to forget.
        faults: Why the others handed in nothing.
    """

    deliveries: list[Delivery]
    empty: list[int]
    faults: dict[int, str]


def _read_answers(replies: Iterable[Any], nodes: Sequence[int]) -> _Answers:
    answers = _Answers([], [], {})
    places = {node: place for place, node in enumerate(nodes)}
    for reply in replies:
        node = places[int(reply.metadata.src_node_id)]
        if reply.has_error():
            answers.faults[node] = f"Flower reports an error: {reply.error.reason}"[:300]
        elif REFUSAL in reply.content:
            answers.faults[node] = str(dict(reply.content[REFUSAL]).get("reason", ""))[:300]
        elif (delivery := _delivery(node, reply.content)) is None:
            answers.faults[node] = "Handed in no proofs: check that its app has the mod."
        elif len(delivery.vectors):
            answers.deliveries.append(delivery)
        else:
            answers.empty.append(node)
    heard = {*answers.empty, *answers.faults, *(one.client for one in answers.deliveries)}
    answers.faults.update(
        {node: "Handed in nothing in time." for node in places.values() if node not in heard}
    )
    return answers


def _delivery(node: int, content: Any) -> Delivery | None:
    """What a client sent back, trusted in nothing; none where that is no proofs at all."""
    try:
        vectors = unpack_parameters(content[PROOFS])["vectors"]
        metadata = {str(name): str(value) for name, value in content[METADATA].items()}
    # What a stranger sends may be wrong in any way.
    except Exception:
        return None
    return Delivery(node, vectors, metadata) if vectors.ndim == 2 else None


def _commonest_length(deliveries: Sequence[Delivery]) -> int:
    """The length of a proof: the server has no network of its own to count its parameters."""
    lengths = Counter(one.vectors.shape[1] for one in deliveries)
    return lengths.most_common(1)[0][0] if lengths else 0


def _requests(nodes: Sequence[int], original: Parameters, unlearned: Parameters) -> list[Any]:
    from flwr.app import ConfigRecord, Message, MessageType, RecordDict

    content = {
        REQUEST: ConfigRecord({"version": 1}),
        ORIGINAL: pack_parameters(original),
        UNLEARNED: pack_parameters(unlearned),
    }
    # A training message: an app has a function for it, and with the function its mods.
    return [
        Message(content=RecordDict(content), message_type=MessageType.TRAIN, dst_node_id=node)
        for node in nodes
    ]


class _WatchedGrid:
    """A grid through which an app's messages pass: who is told to forget, and with which model at first.

    Args:
        grid: Flower's.
        instruction: The key that tells a client to forget.
    """

    def __init__(self, grid: Any, instruction: str) -> None:
        self._grid = grid
        self._instruction = instruction
        self._first: Any = None
        self.told: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)

    @property
    def sent(self) -> Parameters:
        """The model that came with the first instruction.

        Raises:
            FederationError: It came with none.
        """
        records = list(self._first.content.array_records.values())
        if not records:
            raise FederationError(
                "The instruction to forget was sent without a model, and no training went before: which model the "
                "clients forget from is not known. Start the strategy once without the instruction first."
            )
        return unpack_parameters(records[0])

    def send_and_receive(self, messages: Iterable[Any], **settings: Any) -> Any:
        """See Flower's `Grid`."""
        return self._grid.send_and_receive(self._watched(messages), **settings)

    def push_messages(self, messages: Iterable[Any]) -> Any:
        """See Flower's `Grid`."""
        return self._grid.push_messages(self._watched(messages))

    def _watched(self, messages: Iterable[Any]) -> Iterator[Any]:
        for message in messages:
            if instructs(message, self._instruction):
                self._first = self._first or message
                self.told.add(int(message.metadata.dst_node_id))
            yield message
