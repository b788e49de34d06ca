"""The server's view, which is all that a white-box attack receives, and the base class of these attacks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor, nn

from palimpsest.attacks.auditor_view import Controlled, Knowledge, Reconstruction
from palimpsest.datasets import ImageSet
from palimpsest.federation import Observation


@dataclass(frozen=True)
class BatchLabels:
    """Class labels of the samples in b batches, int64, in arbitrary order within a batch.

    Args:
        retained: Labels of the retained samples, `[b, n_r]`.
        forgotten: Labels of the forgotten samples, `[b, n_f]`.
    """

    retained: Tensor
    forgotten: Tensor


@dataclass(frozen=True)
class GaussianMechanism:
    """Published settings of a release: clip to a norm, then add Gaussian noise. The random numbers are secret.

    Args:
        sigma: Standard deviation of the noise in each coordinate, positive.
        clip: Largest norm before the noise. None means that gradients are not clipped.
    """

    sigma: float
    clip: float | None = None


@dataclass(frozen=True)
class ServerView:
    """The white-box server (DRAGD, threat model), which sees all messages of the federation, but no image.

    Args:
        observation: Parameters before and after unlearning, and the batches' gradients.
        architecture: The model on torch's meta device: layers and shapes, no values.
        public: Public images, which also define the shape of the images and the number of classes.
        labels: Labels of the samples. None means that the attack does not declare that it needs them.
        device: Device of the attack's computations, "cpu" or "cuda".
        memory_budget: Memory limit for the attack's data, in bytes.
        mechanism: Release of the batches' gradients. None means that they have no Gaussian noise, or that the attack
            does not declare that it needs the settings.
    """

    observation: Observation
    architecture: nn.Module
    public: ImageSet
    labels: BatchLabels | None
    device: str
    memory_budget: int
    mechanism: GaussianMechanism | None = None
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {
            Knowledge.ARCHITECTURE,
            Knowledge.PARAMETERS,
            Knowledge.BATCH_GRADIENTS,
            Knowledge.PUBLIC,
            Knowledge.LABELS,
            Knowledge.NOISE,
        }
    )


@dataclass(frozen=True)
class BatchReconstruction(Reconstruction):
    """Samples that an attack reconstructed from batches; the order within a batch has no meaning.

    Args:
        images: Forgotten samples, `[b * n_f, channels, height, width]` in [0, 1], batch by batch.
        labels: Inferred labels of `images`, `[b * n_f]` int64.
        retained: Retained samples, `[b * n_r, channels, height, width]`, batch by batch; empty if the attack does not
            reconstruct them.
        objectives: Value of the attack's objective for the images of each batch, `[b]`.
        prior: Images from which the search for `images` started, in the order of `images`; empty if it started from
            noise.
    """

    labels: Tensor
    retained: Tensor
    objectives: Tensor
    prior: Tensor


class ServerAttack(Controlled, ABC):
    """Base class of the server's attacks. An attack is called with a view and returns a reconstruction."""

    @property
    @abstractmethod
    def knowledge(self) -> frozenset[Knowledge]:
        """Knowledge that the attack needs with its settings; an audit provides nothing else."""

    @abstractmethod
    def __call__(self, view: ServerView, *, generator: Generator) -> BatchReconstruction:
        """Reconstruct the forgotten samples of each batch.

        Args:
            view: The server's view.
            generator: Source of the attack's randomness.

        Returns:
            The forgotten samples, in the order of the batches.
        """
