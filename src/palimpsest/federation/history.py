"""Clients' updates of every round on disk, for calibrated unlearning."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from palimpsest.errors import CheckpointError, UnlearningError
from palimpsest.federation.aggregation import weighted_mean
from palimpsest.federation.client import Reply
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Update(Record):
    """A client's update of one round.

    Args:
        change: The client's floating-point parameters and buffers minus the global ones.
        samples: The client's number of samples in that round.
    """

    change: Parameters
    samples: int


@dataclass(frozen=True)
class History:
    """Folder of updates, one file for each client and round.

    Its size is the product of the rounds, the clients of a round and the size of the model.

    Args:
        folder: Path of the folder.
    """

    folder: Path

    def add(self, round_index: int, reply: Reply, start: Parameters) -> None:
        """Store the update of a reply.

        Args:
            round_index: Index of the round, from 0.
            reply: A usable reply.
            start: Global parameters that the client started from.
        """
        change = {
            name: value - start[name] for name, value in reply.parameters.items() if value.is_floating_point()
        }
        Update(change, reply.samples).save(self._path(round_index, reply.client))

    def mean_update(self, round_index: int, clients: Sequence[int]) -> Parameters:
        """Return the clients' mean update of a round, weighted by their samples in that round.

        Only one update is in memory at a time.

        Args:
            round_index: Index of the round, from 0.
            clients: Clients to average over, at least one.

        Returns:
            Mean update of each floating-point tensor.

        Raises:
            UnlearningError: An update is missing or unreadable.
        """
        return weighted_mean(self.updates(round_index, clients))

    def updates(self, round_index: int, clients: Iterable[int]) -> Iterator[Reply]:
        """Yield the clients' updates of a round as replies, one at a time; their losses are 0.

        Args:
            round_index: Index of the round, from 0.
            clients: Clients whose updates are read.

        Raises:
            UnlearningError: An update is missing or unreadable.
        """
        for client in clients:
            yield self._read(round_index, client)

    def _read(self, round_index: int, client: int) -> Reply:
        try:
            update = Update.load(self._path(round_index, client))
        except CheckpointError as error:
            raise UnlearningError(
                f"The update of client {client} in round {round_index} is not in {self.folder} ({error}). "
                "This unlearning method needs it: train again with a history folder."
            ) from error
        return Reply(client, update.samples, update.change, 0.0)

    def _path(self, round_index: int, client: int) -> Path:
        return self.folder / f"round-{round_index:04d}" / f"client-{client:06d}.safetensors"
