"""A classifier that takes images in [0, 1], from one that takes normalized images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from palimpsest.errors import ConfigurationError


class Normalized(nn.Module):
    """Normalize each channel, then classify. It has the network's parameters and none of its own, in their order.

    Args:
        network: Takes normalized images.
        mean: Subtracted from each channel, in pixels of [0, 1]; one number for each channel, or one for all.
        std: What each channel is divided by, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise ConfigurationError(
                f"mean is {list(mean)} and std is {list(std)}: give as many of each, and std above 0."
            )
        self.network = network
        self.register_buffer("mean", torch.tensor(list(mean)).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[n, classes]` of images `[n, channels, height, width]` in [0, 1]."""
        return self.network((images - self.mean) / self.std)


def bare(model: nn.Module) -> nn.Module:
    """The network itself, without what normalizes its images."""
    return model.network if isinstance(model, Normalized) else model
