"""Problem setup of a matching attack: a server's view in the attack's precision, with the inferred labels."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.attacks.server_view import ServerView
from palimpsest.gradients import BatchGradient
from palimpsest.storage import Parameters

# Copies of each activation and of each parameter's gradient that reverse-over-reverse differentiation holds, measured.
_ACTIVATION_COPIES = 24
_GRADIENT_COPIES = 8


@dataclass(frozen=True)
class ProblemSetup:
    """Everything that the server holds, on one device and in one precision.

    Args:
        gradient: Computes a batch's gradient as the clients do.
        before: Parameters before unlearning.
        after: Parameters after unlearning.
        gradients_before: Gradients over retained and forgotten samples at `before`, `[b, d]`.
        gradients_after: Gradients over the retained samples at `after`, `[b, d]`.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.
        retained: Number of retained samples of a batch.
        forgotten: Number of forgotten samples of a batch.
        public: Public images, `[m, channels, height, width]`.
        public_labels: Their classes, `[m]`.
        classes: Number of classes.
        targets: Probabilities of the samples' classes, retained samples first, `[b, n, classes]`; None if the search
            also finds the labels.
        memory_budget: Bytes that the attack may hold.
        activations: Number of values that the network computes for one image.
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

    @classmethod
    def from_view(
        cls, view: ServerView, difference: Tensor, labels: Tensor | None, *, dtype: torch.dtype
    ) -> "ProblemSetup":
        """Convert a view.

        Args:
            view: What the server holds.
            difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.
            labels: Classes of the retained, then of the forgotten samples, `[b, n]`; None if the search finds them.
            dtype: The precision.
        """
        observation, target = view.observation, {"device": view.device, "dtype": dtype}
        targets = None if labels is None else F.one_hot(labels, view.public.classes).to(**target)
        return cls(
            gradient=observation.gradient(view.architecture),
            before=_cast(observation.before, **target),
            after=_cast(observation.after, **target),
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
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, and width of an image."""
        channels, height, width = self.public.shape[1:]
        return channels, height, width

    def chunk(self, samples: int) -> int:
        """The number of starts, with so many samples each, that fit the memory budget; at least one."""
        dimension, bytes_each = self.gradients_before.shape[1], self.gradients_before.element_size()
        numbers = _GRADIENT_COPIES * dimension + _ACTIVATION_COPIES * samples * self.activations
        return max(1, self.memory_budget // (numbers * bytes_each))


def _cast(parameters: Mapping[str, Tensor], *, device: str, dtype: torch.dtype) -> Parameters:
    return {
        name: value.to(device=device, dtype=dtype if value.is_floating_point() else None)
        for name, value in parameters.items()
    }


def _activations(architecture: nn.Module, shape: tuple[int, int, int]) -> int:
    """The number of values that the layers compute for one image; counted on the meta device, at no cost."""
    network, sizes = copy.deepcopy(architecture).to("meta").eval(), []

    def note(_: nn.Module, __: object, output: Tensor) -> None:
        sizes.append(output.numel())

    for module in network.modules():
        module.register_forward_hook(note)
    network(torch.empty(1, *shape, device="meta"))
    return sum(sizes)
