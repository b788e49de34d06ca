"""The stage of a matching attack: a server's view in the attack's precision, and what it believes of the labels."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.attacks.server_view import ServerView
from palimpsest.gradients import BatchGradient
from palimpsest.storage import Parameters

# What reverse over reverse differentiation keeps of each activation and of each parameter's gradient, measured.
_ACTIVATION_COPIES = 24
_GRADIENT_COPIES = 8


@dataclass(frozen=True)
class Scene:
    """Everything that the server holds, on one device and in one precision.

    Args:
        gradient: What the clients computed.
        before: The parameters before unlearning.
        after: The parameters after it.
        whole: The gradients over remaining and forgotten samples at `before`, `[b, d]`.
        stayed: The gradients over the remaining samples at `after`, `[b, d]`.
        difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.
        remaining: Remaining samples of a batch.
        forgotten: Forgotten samples of a batch.
        public: Public images, `[m, channels, height, width]`.
        public_labels: Their classes, `[m]`.
        classes: How many there are.
        targets: What is believed of the classes, remaining samples first, `[b, n, classes]`; none: to be found.
        memory_budget: Bytes that the attack may hold.
        activations: Numbers that the network computes for one image.
    """

    gradient: BatchGradient
    before: Parameters
    after: Parameters
    whole: Tensor
    stayed: Tensor
    difference: Tensor
    remaining: int
    forgotten: int
    public: Tensor
    public_labels: Tensor
    classes: int
    targets: Tensor | None
    memory_budget: int
    activations: int

    @classmethod
    def of(
        cls, view: ServerView, difference: Tensor, labels: Tensor | None, *, dtype: torch.dtype
    ) -> "Scene":
        """Set the stage.

        Args:
            view: What the server holds.
            difference: The attack's estimate of the forgotten samples' mean gradient, `[b, d]`.
            labels: The classes of the remaining and then of the forgotten samples, `[b, n]`, or none.
            dtype: The precision.
        """
        seen, place = view.observation, {"device": view.device, "dtype": dtype}
        targets = None if labels is None else F.one_hot(labels, view.public.classes).to(**place)
        return cls(
            gradient=seen.gradient(view.architecture),
            before=_cast(seen.before, **place),
            after=_cast(seen.after, **place),
            whole=seen.gradients_before.to(**place),
            stayed=seen.gradients_after.to(**place),
            difference=difference.to(**place),
            remaining=seen.remaining,
            forgotten=seen.forgotten,
            public=view.public.images.to(**place),
            public_labels=view.public.labels.to(view.device),
            classes=view.public.classes,
            targets=targets,
            memory_budget=view.memory_budget,
            activations=_activations(view.architecture, view.public.shape),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.public.shape[1:]
        return channels, height, width

    def chunk(self, samples: int) -> int:
        """How many starts with so many samples each fit the memory budget; at least one."""
        numbers = _GRADIENT_COPIES * self.whole.shape[1] + _ACTIVATION_COPIES * samples * self.activations
        return max(1, self.memory_budget // (numbers * self.whole.element_size()))


def _cast(parameters: Mapping[str, Tensor], *, device: str, dtype: torch.dtype) -> Parameters:
    return {
        name: value.to(device=device, dtype=dtype if value.is_floating_point() else None)
        for name, value in parameters.items()
    }


def _activations(architecture: nn.Module, shape: tuple[int, int, int]) -> int:
    """How many numbers the layers compute for one image; on the meta device this costs nothing."""
    network, sizes = copy.deepcopy(architecture).to("meta").eval(), []

    def note(_: nn.Module, __: object, output: Tensor) -> None:
        sizes.append(output.numel())

    for module in network.modules():
        module.register_forward_hook(note)
    network(torch.empty(1, *shape, device="meta"))
    return sum(sizes)
