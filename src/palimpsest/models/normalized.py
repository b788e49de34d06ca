"""Wrapper that normalizes images in [0, 1] for a network that expects normalized images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from palimpsest.errors import ConfigurationError


class Normalized(nn.Module):
    """Normalize each channel, then classify.

    The wrapper has exactly the network's parameters, in the same order.

    Args:
        network: A network that expects normalized images.
        mean: Value to subtract from each channel of an image in [0, 1]: one for each channel, or one for all.
        std: Value to divide each channel by, above 0; as many as in `mean`.

    Raises:
        ConfigurationError: `mean` and `std` differ in length or are empty, or a value of `std` is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """Wrap the network."""
        super().__init__()
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise ConfigurationError(
                f"mean is {list(mean)} and std is {list(std)}. Both need the same number of values, at least one, and "
                "every std must be above 0."
            )
        self.network = network
        self.register_buffer("mean", torch.tensor(list(mean)).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `[n, classes]` for images `[n, channels, height, width]` in [0, 1]."""
        return self.network((images - self.mean) / self.std)


def bare(model: nn.Module) -> nn.Module:
    """Return the network without its `Normalized` wrapper, or the model itself if it has none."""
    return model.network if isinstance(model, Normalized) else model
