"""Coordinates in which the unknown images are searched: pixels, or frequencies scaled as in public images."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

Space = Literal["pixels", "box", "spectrum"]
_SMALLEST_SCALE = 1e-3


class Coordinates(ABC):
    """A linear change of variables between unknowns and images."""

    bounds: tuple[float, float]
    """Lower and upper bound of every coordinate."""

    @abstractmethod
    def decode(self, coordinates: Tensor) -> Tensor:
        """Compute images from coordinates, both `[..., channels, height, width]`."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Compute coordinates of images; the inverse of `decode`."""

    @abstractmethod
    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw coordinates of random images.

        Args:
            shape: `[..., channels, height, width]`.
            generator: Draws the noise.
        """


@dataclass(frozen=True)
class Pixels(Coordinates):
    """The pixels; noise is uniform in [0, 1].

    Args:
        bounds: (0, 1) for a box, or infinities for free pixels.
    """

    bounds: tuple[float, float]

    def decode(self, coordinates: Tensor) -> Tensor:
        """Return the coordinates."""
        return coordinates

    def encode(self, images: Tensor) -> Tensor:
        """Return the images."""
        return images

    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw pixels from the uniform distribution in [0, 1]."""
        return torch.rand(shape, generator=generator)


class Spectrum(Coordinates):
    """Frequencies and principal colors, in which public images have mean zero and variance one.

    Natural images vary a thousand times more in coarse shapes than in fine details, while the gradient of a network
    resolves both about equally. A search in these coordinates, from the mean image, fits coarse shapes first, and fine
    details only if the gradient requires them.

    The coordinates are the orthonormal discrete cosine transform of the principal components of the colors.

    Args:
        public: Public images, `[m, channels, height, width]`, m at least 2.
    """

    bounds = (-math.inf, math.inf)

    def __init__(self, public: Tensor) -> None:
        self.mean = public.mean(dim=0)
        centered = public - self.mean
        pixels = centered.movedim(1, 0).flatten(1)
        self._colors = torch.linalg.eigh(pixels @ pixels.T / pixels.shape[1]).eigenvectors.T
        self._down, self._across = (_cosines(size).to(public) for size in public.shape[2:])
        self.scale = torch.ones_like(self.mean)
        self.scale = self._analyze(centered).std(dim=0) + _SMALLEST_SCALE

    def decode(self, coordinates: Tensor) -> Tensor:
        """Compute images from coordinates."""
        waves = self._down.T @ (coordinates * self.scale) @ self._across
        return self.mean + torch.einsum("kc,...khw->...chw", self._colors, waves)

    def encode(self, images: Tensor) -> Tensor:
        """Compute coordinates of images."""
        return self._analyze(images - self.mean)

    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw standard normal coordinates: images as smooth as the public ones."""
        return torch.randn(shape, generator=generator)

    def _analyze(self, centered: Tensor) -> Tensor:
        waves = torch.einsum("kc,...chw->...khw", self._colors, centered)
        return self._down @ waves @ self._across.T / self.scale


def make_coordinates(space: Space, public: Tensor) -> Coordinates:
    """Make the coordinates of a search space.

    Args:
        space: "pixels" (free), "box" (pixels in [0, 1]), or "spectrum".
        public: Public images, `[m, channels, height, width]`; used by "spectrum".
    """
    if space == "spectrum":
        return Spectrum(public)
    return Pixels((0.0, 1.0) if space == "box" else (-math.inf, math.inf))


def _cosines(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix `[size, size]`, float64: one row for each frequency."""
    frequency, place = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size) + 0.5
    rows = torch.cos(math.pi / size * frequency * place) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows
