"""Learned starts: networks from solved features to images, trained on the auxiliary images' own features."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from palimpsest.attacks.exact.read_chain import Trunk
from palimpsest.attacks.learned.image_training import invert
from palimpsest.attacks.learned.inverter import MapShape, PixelShuffleInverter
from palimpsest.attacks.learned.state import Network
from palimpsest.storage import Record


@dataclass(frozen=True)
class LevelFeatures(Record):
    """Network inputs from a solved layer's inputs: standardized maps and, after a ReLU, maps of the active units.

    Args:
        level: Number of the block whose inputs are solved; the number of blocks for the last linear layer.
        shape: Channels, height, and width of these inputs.
        nonnegative: Whether they are the outputs of a ReLU. Square roots then compress the large ones.
        mean: Mean of each channel at both models, `[2 x channels]`.
        scale: Standard deviation of each channel, `[2 x channels]`.
    """

    level: int
    shape: tuple[int, int, int]
    nonnegative: bool
    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, trunk: Trunk, level: int, images: Tensor) -> "LevelFeatures":
        """Fit the standardization to images `[m, channels, height, width]` in [0, 1]."""
        outputs = trunk.levels(images)[level]
        shape, nonnegative = trunk.chain.input_shape(level), trunk.chain.nonnegative(level)
        values = _compress(outputs, shape, nonnegative)
        mean, scale = values.mean((0, 2, 3)), values.std((0, 2, 3))
        # A constant channel carries no information; a scale of one keeps it finite.
        return cls(level, shape, nonnegative, mean, torch.where(scale > 0, scale, torch.ones_like(scale)))

    @property
    def maps(self) -> MapShape:
        """Channels, height, and width of the features."""
        channels, height, width = self.shape
        return (4 if self.nonnegative else 2) * channels, height, width

    def transform(self, outputs: Tensor) -> Tensor:
        """Compute features `[n, k]`, float32, of both models' outputs `[n, 2, ...]`."""
        values = _compress(outputs, self.shape, self.nonnegative)
        features = (values - self.mean.view(-1, 1, 1)) / self.scale.view(-1, 1, 1)
        if self.nonnegative:
            features = torch.cat([features, (values > 0).float()], 1)
        return features.flatten(1)


def _compress(outputs: Tensor, shape: MapShape, nonnegative: bool) -> Tensor:
    values = outputs.float().reshape(len(outputs), 2 * shape[0], *shape[1:])
    return values.clamp_min(0).sqrt() if nonnegative else values


@dataclass(frozen=True)
class SolvedPairs:
    """Training pairs of an image and the features that solving its proof would give; see `TrainingPairs`.

    Args:
        trunk: Both models.
        features: The features.
        images_uint8: Images as 8-bit integers, `[m, channels, height, width]`.
        rows: Indices of the images in this set, `[n]` int64.
    """

    trunk: Trunk
    features: LevelFeatures
    images_uint8: Tensor
    rows: Tensor

    def __len__(self) -> int:
        """Return the number n of pairs in this set."""
        return len(self.rows)

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features `[b, k]` and images `[b, channels, height, width]` in [0, 1]; see `TrainingPairs.batches`."""
        for rows in self.rows[order].split(size):
            images = self.images_uint8[rows].float() / 255
            with torch.no_grad():
                outputs = self.trunk.levels(images)[self.features.level]
            yield self.features.transform(outputs), images


@dataclass(frozen=True)
class Start(Record):
    """A network from the features of a level to images.

    Args:
        features: The features.
        shape: Channels, height, and width of the images.
        width: Channels of the network's first map.
        blocks: Residual blocks on the first map.
        network: Weights of the network.
    """

    features: LevelFeatures
    shape: tuple[int, int, int]
    width: int
    blocks: int
    network: Network

    def images(self, outputs: Tensor, *, device: str) -> Tensor:
        """Reconstruct images `[n, channels, height, width]` from both models' outputs `[n, 2, ...]`."""
        # On the meta device, the network gets no storage and draws no random weights.
        with torch.device("meta"):
            inverter = build_start(self.features, self.shape, width=self.width, blocks=self.blocks)
        inverter.load_state_dict(self.network.parameters, assign=True)
        return invert(inverter, self.features.transform(outputs), device=device)


def build_start(features: LevelFeatures, shape: MapShape, *, width: int, blocks: int) -> nn.Module:
    """Build a network from a level's features to images, with fresh weights.

    Args:
        features: The features; all of them form maps.
        shape: Channels, height, and width of the images.
        width: Channels of the network's first map.
        blocks: Residual blocks on the first map.
    """
    return PixelShuffleInverter(
        prod(features.maps), shape, width=width, dropout=0.0, blocks=blocks, maps=features.maps
    )
