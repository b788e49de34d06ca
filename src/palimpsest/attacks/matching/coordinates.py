"""In which coordinates the unknown images are searched."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

Space = Literal["pixels", "box", "spectrum"]
_LEAST = 1e-3


class Coordinates(ABC):
    """A linear change of variables between rows of numbers and images."""

    bounds: tuple[float, float]
    """Where every coordinate must stay."""

    @abstractmethod
    def decode(self, coordinates: Tensor) -> Tensor:
        """Images from coordinates, both `[..., channels, height, width]`."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Coordinates of images; the inverse of `decode`."""

    @abstractmethod
    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Coordinates of images that nothing is known of, of shape `[..., channels, height, width]`."""


@dataclass(frozen=True)
class Pixels(Coordinates):
    """The pixels themselves, free, or in the box [0, 1]; noise is uniform."""

    bounds: tuple[float, float]

    def decode(self, coordinates: Tensor) -> Tensor:
        """The same."""
        return coordinates

    def encode(self, images: Tensor) -> Tensor:
        """The same."""
        return images

    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Uniform in [0, 1]."""
        return torch.rand(shape, generator=generator)


class Spectrum(Coordinates):
    """Frequencies and colours in which public images have mean zero and variance one.

    Natural images differ a thousandfold more in their coarse shape than in their fine grain, and a network's
    gradient tells both apart about equally badly. A search that starts at the mean image and takes steps in these
    coordinates fits the coarse shape first, and fine grain only where the gradient asks for it.

    The coordinates are the orthonormal discrete cosine transform's, of the colours' principal components.

    Args:
        public: `[m, channels, height, width]`, m at least 2.
    """

    bounds = (-math.inf, math.inf)

    def __init__(self, public: Tensor) -> None:
        self.mean = public.mean(dim=0)
        centred = public - self.mean
        pixels = centred.movedim(1, 0).flatten(1)
        self._colours = torch.linalg.eigh(pixels @ pixels.T / pixels.shape[1]).eigenvectors.T
        self._down, self._across = (_cosines(size).to(public) for size in public.shape[2:])
        self.scale = torch.ones_like(self.mean)
        self.scale = self._analyse(centred).std(dim=0) + _LEAST

    def decode(self, coordinates: Tensor) -> Tensor:
        """Images from coordinates."""
        waves = self._down.T @ (coordinates * self.scale) @ self._across
        return self.mean + torch.einsum("kc,...khw->...chw", self._colours, waves)

    def encode(self, images: Tensor) -> Tensor:
        """Coordinates of images."""
        return self._analyse(images - self.mean)

    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Standard normal: images as smooth as the public ones."""
        return torch.randn(shape, generator=generator)

    def _analyse(self, centred: Tensor) -> Tensor:
        waves = torch.einsum("kc,...chw->...khw", self._colours, centred)
        return self._down @ waves @ self._across.T / self.scale


def _cosines(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix `[size, size]`, float64: a row for each frequency."""
    frequency, place = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size) + 0.5
    rows = torch.cos(math.pi / size * frequency * place) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows


def make_coordinates(space: Space, public: Tensor) -> Coordinates:
    """The coordinates of that name.

    Args:
        space: pixels, box, or spectrum.
        public: `[m, channels, height, width]`, of which the spectrum is taken.
    """
    if space == "spectrum":
        return Spectrum(public)
    return Pixels((0.0, 1.0) if space == "box" else (-math.inf, math.inf))
