"""The pixel-level inversion network (IGF, appendix D, Fig. 11)."""

import math

from torch import Tensor, nn

from palimpsest.errors import ConfigurationError


class PixelShuffleInverter(nn.Module):
    """Linear, reshape, then (convolution, batch norm, PixelShuffle) until the image's size, sigmoid at the end.

    The figure names the layers and not their widths: here the first map has `width` channels of about 4 x 4 pixels,
    and every upsampling halves the channels and doubles the sides.

    Args:
        features: Length of a reduced gradient difference.
        shape: Channels, height and width of the images.
        width: Channels of the first map; a power of two, at least 8.
        dropout: Share of the features hidden in each training step; it keeps the network from learning the
            auxiliary images by heart.
    """

    def __init__(self, features: int, shape: tuple[int, int, int], *, width: int, dropout: float) -> None:
        super().__init__()
        channels, height, width_in_pixels = shape
        doublings = max(0, round(math.log2(min(height, width_in_pixels) / 4)))
        if width >> doublings < 2:
            raise ConfigurationError(
                f"attack.width is {width}: an image of {height} pixels needs at least {2 << doublings}."
            )
        self.shape = shape
        scale = 2**doublings
        self.first = (width, math.ceil(height / scale), math.ceil(width_in_pixels / scale))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, math.prod(self.first))
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.up = nn.Sequential(*(_doubling(width >> step) for step in range(doublings)))
        self.out = nn.Conv2d(width >> doublings, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Images `[n, channels, height, width]` in [0, 1] from features `[n, k]`."""
        maps = self.linear(self.dropout(features)).view(-1, *self.first)
        images = self.out(self.up(self.norm(maps))).float().sigmoid()
        return images[..., : self.shape[1], : self.shape[2]]


def _doubling(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(),
        nn.PixelShuffle(2),
    )
