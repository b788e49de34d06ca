"""Problem setup of a matching attack: the server's view in the attack's precision, with known or inferred labels."""

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.attacks.matching.noise import GradientNoise
from palimpsest.attacks.matching.problem import Batch
from palimpsest.attacks.server_view import GaussianMechanism, ServerView
from palimpsest.gradients import BatchGradient
from palimpsest.storage import Parameters, cast_parameters

# Measured: the number of copies of each activation and of each gradient that double backpropagation holds.
_ACTIVATION_COPIES = 24
_GRADIENT_COPIES = 8


@dataclass(frozen=True)
class ProblemSetup:
    """Everything that the server knows, on one device and in one precision.

    Args:
        gradient: Computes the gradient of a batch in the same way as the clients.
        before: Parameters before unlearning.
        after: Parameters after unlearning.
        gradients_before: Gradients over retained and forgotten samples at `before`, `[b, d]`.
        gradients_after: Gradients over the retained samples at `after`, `[b, d]`.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.
        retained: Number of retained samples of a batch.
        forgotten: Number of forgotten samples of a batch.
        public: Public images, `[m, channels, height, width]`.
        public_labels: Classes of the public images, `[m]`.
        classes: Number of classes.
        targets: Class probabilities of the samples, retained samples first, `[b, n, classes]`. None means that the
            search also finds the labels.
        memory_budget: Bytes that the attack may use.
        activations: Number of values that the network computes for one image.
        mechanism: Release of the observed gradients. None means that they have no noise, or that the attack ignores it.
    """

    gradient: BatchGradient
    before: Parameters
    after: Parameters
    gradients_before: Tensor
    gradients_after: Tensor
    difference: Tensor
    retained: int
    forgotten: int
    public: Tensor
    public_labels: Tensor
    classes: int
    targets: Tensor | None
    memory_budget: int
    activations: int
    mechanism: GaussianMechanism | None = None

    @classmethod
    def from_view(
        cls, view: ServerView, difference: Tensor, labels: Tensor | None, *, dtype: torch.dtype
    ) -> "ProblemSetup":
        """Create the setup from a server's view.

        Args:
            view: The server's view.
            difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.
            labels: Classes of the retained samples, then of the forgotten ones, `[b, n]`. None means that the search
                also finds the labels.
            dtype: Floating-point type of all values.
        """
        observation, target = view.observation, {"device": view.device, "dtype": dtype}
        targets = None if labels is None else F.one_hot(labels, view.public.classes).to(**target)
        return cls(
            gradient=observation.gradient(view.architecture),
            before=cast_parameters(observation.before, **target),
            after=cast_parameters(observation.after, **target),
            gradients_before=observation.gradients_before.to(**target),
            gradients_after=observation.gradients_after.to(**target),
            difference=difference.to(**target),
            retained=observation.retained,
            forgotten=observation.forgotten,
            public=view.public.images.to(**target),
            public_labels=view.public.labels.to(view.device),
            classes=view.public.classes,
            targets=targets,
            memory_budget=view.memory_budget,
            activations=_activations(view.architecture, view.public.shape),
            mechanism=view.mechanism,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.public.shape[1:]
        return channels, height, width

    def gradients(self, parameters: Parameters, batch: Batch) -> Tensor:
        """Compute the gradient of each batch, `[b, d]`.

        Args:
            parameters: Model parameters at which the gradients are computed.
            batch: The samples.
        """
        pairs = zip(batch.images, batch.targets, strict=True)
        return torch.stack([self.gradient(parameters, images, targets) for images, targets in pairs])

    def probabilities(self, samples: slice) -> Tensor:
        """Return the class probabilities of samples, `[b, n, classes]`; uniform if the search also finds the labels.

        Args:
            samples: Positions of the samples in each batch.
        """
        if self.targets is not None:
            return self.targets[:, samples]
        shape = len(self.gradients_before), samples.stop - samples.start, self.classes
        return self.gradients_before.new_full(shape, 1 / self.classes)

    @property
    def noise(self) -> GradientNoise | None:
        """The noise of one observed gradient; None without a mechanism."""
        return self.mechanism and GradientNoise(self.mechanism.sigma, self.mechanism.clip)

    @property
    def difference_noise(self) -> GradientNoise | None:
        """The noise of the difference of two observed gradients, n/n_f times the first minus n_r/n_f times the second.

        Both noises are independent. Two gradients of similar length are clipped by similar factors, so the difference
        is close to a multiple of the forgotten samples' gradient, but the factor is unknown.
        """
        if self.mechanism is None:
            return None
        whole, part = self.retained + self.forgotten, self.retained
        sigma = self.mechanism.sigma * math.hypot(whole, part) / self.forgotten
        return GradientNoise(sigma, unknown_scale=self.mechanism.clip is not None)

    def chunk(self, samples: int) -> int:
        """Return the number of starts that can be evaluated at once within the memory budget; at least one.

        Args:
            samples: Number of samples of each start.
        """
        dimension, bytes_per_value = self.gradients_before.shape[1], self.gradients_before.element_size()
        values = _GRADIENT_COPIES * dimension + _ACTIVATION_COPIES * samples * self.activations
        return max(1, self.memory_budget // (values * bytes_per_value))


def _activations(architecture: nn.Module, shape: tuple[int, int, int]) -> int:
    """Count the values that the layers compute for one image. The meta device makes this free."""
    network, sizes = copy.deepcopy(architecture).to("meta").eval(), []

    def record_size(_: nn.Module, __: object, output: Tensor) -> None:
        sizes.append(output.numel())

    for module in network.modules():
        module.register_forward_hook(record_size)
    network(torch.empty(1, *shape, device="meta"))
    return sum(sizes)
