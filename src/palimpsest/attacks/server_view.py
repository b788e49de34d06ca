"""The server's view: everything that a white-box attack receives, and the base of these attacks."""

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
    """Classes of the samples of b batches, int64, in no particular order within a batch.

    Args:
        retained: Classes of the retained samples, `[b, n_r]`.
        forgotten: Classes of the forgotten samples, `[b, n_f]`.
    """

    retained: Tensor
    forgotten: Tensor


@dataclass(frozen=True)
class ServerView:
    """The white-box server (DRAGD, threat model): it sees every message of the federation, and no image.

    Args:
        observation: Parameters before and after unlearning, and the batches' gradients.
        architecture: The model on torch's meta device: layers and shapes, no values.
        public: Public images, which also give the images' shape and the number of classes.
        labels: Classes of the samples; None for an attack that does not declare that it knows them.
        device: Where the attack computes, "cpu" or "cuda".
        memory_budget: Bytes that the attack may hold.
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
    """What an attack on batches recovered; the order within a batch has no meaning.

    Args:
        images: Forgotten samples, `[b * n_f, channels, height, width]` in [0, 1]; the first n_f are the first batch's.
        labels: Their inferred classes, `[b * n_f]` int64.
        retained: Retained samples, `[b * n_r, ...]`, ordered like `images`; empty if the attack does not reconstruct
            them.
        objectives: The attack's objective at `images`, `[b]`.
        prior: The images from which the search for `images` started, in their order; empty if it started from noise.
    """

    labels: Tensor
    retained: Tensor
    objectives: Tensor
    prior: Tensor


class ServerAttack(Component, ABC):
    """Base of the server's attacks: a call from a view to a reconstruction."""

    @property
    @abstractmethod
    def knowledge(self) -> frozenset[Knowledge]:
        """What the attack needs to know with its settings; an audit gives it nothing else."""

    @abstractmethod
    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Reconstruct the forgotten samples of each batch.

        Args:
            view: What the server holds.
            generator: The attack's randomness.
        """
