"""Inverters, the networks that turn features into images: IGF's (appendix D, Fig. 11) and Learning to Invert's."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.errors import ConfigurationError

MapShape = tuple[int, int, int]
"""Channels, height, and width of features that form maps over the image."""


class PixelShuffleInverter(nn.Module):
    """IGF's inverter: linear layer, then upsampling by convolutions, batch norm, and PixelShuffle, then sigmoid.

    The paper's figure names the layers but not their widths. In this network, the first map has `width` channels of
    about 4 x 4 pixels, and each upsampling halves the channels and doubles the sides. Features that form maps over the
    image enter through a convolution, all others through the linear layer.

    Args:
        features: Number of features.
        shape: Channels, height, and width of the images.
        width: Channels of the first map; a multiple of 8.
        dropout: Share of the linear layer's inputs that are dropped in each training step, in [0, 1). It keeps the
            network from memorizing the auxiliary images.
        blocks: Residual blocks on the first map; each upsampling halves their number, down to 0.
        maps: Channels, height, and width of the maps that the leading features form. If omitted, no features form maps.
        full_size_maps: Whether the last upsampling outputs maps of the image's size, followed by a convolution. If
            false, it outputs the image.

    Raises:
        ConfigurationError: The width is too small for the number of upsamplings.
    """

    def __init__(
        self,
        features: int,
        shape: tuple[int, int, int],
        *,
        width: int,
        dropout: float,
        blocks: int = 0,
        maps: MapShape | None = None,
        full_size_maps: bool = True,
    ) -> None:
        """Build the layers with fresh weights."""
        super().__init__()
        channels, height, width_in_pixels = shape
        side = maps[1] if maps and _doubles(maps[1:], shape[1:]) else 4
        doublings = max(0, round(math.log2(min(height, width_in_pixels) / side)))
        if width >> doublings < 2:
            raise ConfigurationError(
                f"attack.width is {width}, which is too small for images of {height} x {width_in_pixels} pixels. "
                f"Set it to at least {2 << doublings}."
            )
        self.shape, self.maps = shape, maps
        scale = 2**doublings
        self.first = (width, math.ceil(height / scale), math.ceil(width_in_pixels / scale))
        self.spatial = math.prod(maps) if maps else 0
        self.dropout = nn.Dropout(dropout)
        self.linear = (
            nn.Linear(features - self.spatial, math.prod(self.first)) if features > self.spatial else None
        )
        self.convolution = nn.Conv2d(maps[0], width, 3, padding=1) if maps else None
        layers: list[nn.Module] = [_Residual(width) for _ in range(blocks)]
        shuffled_image = doublings > 0 and not full_size_maps
        for _ in range(doublings - shuffled_image):
            blocks, width = blocks // 2, width // 2
            layers += [_activated(2 * width, 4 * width), nn.PixelShuffle(2)]
            layers += [_Residual(width) for _ in range(blocks)]
        last = (
            [_activated(width, 4 * channels), nn.PixelShuffle(2)]
            if shuffled_image
            else [_activated(width, channels)]
        )
        self.up = nn.Sequential(*layers, *last)

    def forward(self, features: Tensor) -> Tensor:
        """Compute images `[n, channels, height, width]` in [0, 1] from features `[n, k]`."""
        images = self.up(self._first_map(features)).float().sigmoid()
        return images[..., : self.shape[1], : self.shape[2]]

    def _first_map(self, features: Tensor) -> Tensor:
        """Sum the projection of the other features and the convolution of the maps."""
        parts = []
        if self.linear is not None:
            parts.append(self.linear(self.dropout(features[:, self.spatial :])).view(-1, *self.first))
        if self.convolution is not None and self.maps is not None:
            maps = features[:, : self.spatial].view(-1, *self.maps)
            if self.maps[1:] != self.first[1:]:
                maps = F.interpolate(maps, self.first[1:], mode="bilinear", align_corners=False)
            parts.append(self.convolution(maps.contiguous(memory_format=torch.channels_last)))
        return sum(parts[1:], parts[0])


class MlpInverter(nn.Module):
    """Learning to Invert's network (Wu et al. 2023, section 4): an MLP with a sigmoid output.

    Args:
        features: Number of features.
        shape: Channels, height, and width of the images.
        hidden: Units of each of the two hidden layers (3,000 in the paper).
    """

    def __init__(self, features: int, shape: tuple[int, int, int], *, hidden: int) -> None:
        """Build the layers with fresh weights."""
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, math.prod(shape)),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Compute images `[n, channels, height, width]` in [0, 1] from features `[n, k]`."""
        return self.layers(features).float().sigmoid().view(-1, *self.shape)


def _doubles(map_size: tuple[int, int], image: tuple[int, int]) -> bool:
    """Return whether a whole number of doublings enlarges the map to the image."""
    ratio = image[0] / map_size[0]
    return ratio == image[1] / map_size[1] and ratio >= 1 and math.log2(ratio).is_integer()


def _activated(channels: int, out: int) -> nn.Sequential:
    """Build a convolution that is preceded by batch norm and ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, out, 3, padding=1))


class _Residual(nn.Module):
    """Residual block of two convolutions."""

    def __init__(self, channels: int) -> None:
        """Build the convolutions with fresh weights."""
        super().__init__()
        self.branch = nn.Sequential(_activated(channels, channels), _activated(channels, channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Add the output of the convolutions to their input."""
        return maps + self.branch(maps)
