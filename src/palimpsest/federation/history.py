"""Every client's update of every round, on disk: what calibrated unlearning needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from palimpsest.errors import CheckpointError, UnlearningError
from palimpsest.federation.aggregation import weighted_mean
from palimpsest.federation.client import Reply
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Update(Record):
    """How a client changed the global parameters in a round, and how many samples it did that with."""

    change: Parameters
    samples: int


@dataclass(frozen=True)
class History:
    """A folder of updates, one file for each client and round: rounds x clients x the size of the model."""

    folder: Path

    def add(self, round_index: int, reply: Reply, start: Parameters) -> None:
        """Keep what a reply changed.

        Args:
            round_index: From 0.
            reply: A usable one.
            start: The global parameters that the client started from.
        """
        change = {
            name: value - start[name] for name, value in reply.parameters.items() if value.is_floating_point()
        }
        Update(change, reply.samples).save(self._path(round_index, reply.client))

    def mean_update(self, round_index: int, clients: Sequence[int]) -> Parameters:
        """The clients' mean update, weighted by the samples they had then; one update is in memory at a time.

        Args:
            round_index: From 0.
            clients: Whose updates; at least one.

        Raises:
            UnlearningError: An update was not kept.
        """
        return weighted_mean(self._read(round_index, client) for client in clients)

    def _read(self, round_index: int, client: int) -> Reply:
        try:
            update = Update.load(self._path(round_index, client))
        except CheckpointError as error:
            raise UnlearningError(
                f"The update of client {client} in round {round_index} is not in {self.folder} ({error}): "
                "train again with a history, which this unlearning method needs."
            ) from error
        return Reply(client, update.samples, update.change, 0.0)

    def _path(self, round_index: int, client: int) -> Path:
        return self.folder / f"round-{round_index:04d}" / f"client-{client:06d}.safetensors"
