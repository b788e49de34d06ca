"""Tasks that the server sends to clients, the data that a client holds, and the result of its work."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from palimpsest.federation.dp_sgd import DPSGD, Release


@dataclass(frozen=True)
class Shard:
    """One client's share of a set of images and labels.

    Args:
        images: Images of all clients, `[N, channels, height, width]`.
        labels: Labels of all clients, `[N]` int64.
        rows: Indices of this client's samples, `[n]` int64; it never uses other samples.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor

    def __len__(self) -> int:
        """Return the client's number of samples."""
        return len(self.rows)


@dataclass(frozen=True)
class Outcome:
    """Result of a client's work.

    Args:
        loss: Mean loss over the steps; NaN if the client diverged.
        steps: Number of steps taken.
    """

    loss: float
    steps: int


class Work(BaseModel, ABC):
    """Task that the server sends to clients, as frozen plain data that can be sent to another machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def in_stream(self, name: str) -> Self:
        """Return the same work with the private noise of another purpose; work without such noise returns itself.

        Args:
            name: Purpose, such as "retrain".
        """
        return self

    def release(self, client: int, samples: int) -> Release | None:
        """Return the steps of DP-SGD that a client takes in one round, or None if the work is not private.

        Args:
            client: Index of the client.
            samples: Number of its samples, at least 1.
        """
        return None

    @abstractmethod
    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Update the model, which holds the global parameters, on the client's data.

        Args:
            model: Model to update in place.
            shard: The client's data, at least one row.
            seed: Seed of this client in this round.

        Returns:
            The mean loss and the number of steps.
        """


class PrivateWork(Work):
    """Base class of work that clients can do with DP-SGD.

    Args:
        dp: Settings of DP-SGD. None means that the work is not private.
    """

    dp: DPSGD | None = None

    def in_stream(self, name: str) -> Self:
        """Return the same work with its own noise; see `Work`."""
        if self.dp is None:
            return self
        return self.model_copy(update={"dp": self.dp.model_copy(update={"stream": name})})

    def release(self, client: int, samples: int) -> Release | None:
        """Return the client's steps of DP-SGD; see `Work`."""
        if self.dp is None:
            return None
        return Release(client, *self.private_steps(samples), self.dp.noise_multiplier)

    @abstractmethod
    def private_steps(self, samples: int) -> tuple[float, int]:
        """Return the sampling rate and the number of a client's steps of DP-SGD in one round.

        Args:
            samples: Number of the client's samples, at least 1.
        """
