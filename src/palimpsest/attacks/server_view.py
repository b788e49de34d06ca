"""What a server holds, and what its attacks are."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import Knowledge, Reconstruction
from palimpsest.datasets import ImageSet
from palimpsest.federation import Observation
from palimpsest.registry import Component


@dataclass(frozen=True)
class BatchLabels:
    """The classes of the samples of b batches, int64, in no particular order within a batch.

    Args:
        remaining: `[b, n_r]`.
        forgotten: `[b, n_f]`.
    """

    remaining: Tensor
    forgotten: Tensor


@dataclass(frozen=True)
class ServerView:
    """The white-box server (DRAGD, threat model): it sees everything that crosses the wire, and no image.

    Args:
        observation: Parameters before and after unlearning, and the batches' gradients.
        architecture: The model on torch's meta device: layers and shapes, no numbers.
        public: Images that anybody could have; they also tell the images' shape and the number of classes.
        labels: The samples' classes, for an attack that declares that it knows them.
        device: Where the attack computes.
        memory_budget: Bytes that it may hold.
    """

    observation: Observation
    architecture: nn.Module
    public: ImageSet
    labels: BatchLabels | None
    device: str
    memory_budget: int
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {
            Knowledge.ARCHITECTURE,
            Knowledge.PARAMETERS,
            Knowledge.BATCH_GRADIENTS,
            Knowledge.PUBLIC,
            Knowledge.LABELS,
        }
    )


@dataclass(frozen=True)
class BatchReconstruction(Reconstruction):
    """What an attack on batches recovered; within a batch the order means nothing.

    Args:
        images: `[b * n_f, channels, height, width]` in [0, 1]: the first n_f are the first batch's.
        labels: The classes that the attack gives them, `[b * n_f]` int64.
        remaining: The samples that stay, the same way, `[b * n_r, ...]`; empty where the attack does without.
        objectives: The attack's own objective at `images`, `[b]`.
        prior: The images that the search for `images` started from, in their order; empty where it was noise.
    """

    labels: Tensor
    remaining: Tensor
    objectives: Tensor
    prior: Tensor


class ServerAttack(Component, ABC):
    """Base of the attacks from the server: a call from what it holds to what it recovered."""

    @property
    @abstractmethod
    def knowledge(self) -> frozenset[Knowledge]:
        """What it needs to know with these settings; an audit hands it nothing else."""

    @abstractmethod
    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Reconstruct the forgotten samples of each batch.

        Args:
            view: What the server holds.
            generator: The attack's randomness.
        """
