"""Coordinates of the search for images: pixels, or frequencies scaled to the variance of public images."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

Space = Literal["pixels", "box", "spectrum"]
_SMALLEST_SCALE = 1e-3


class Coordinates(ABC):
    """Linear change of variables between unknowns and images."""

    bounds: tuple[float, float]
    """Lower and upper bound of each coordinate."""

    @abstractmethod
    def decode(self, coordinates: Tensor) -> Tensor:
        """Convert coordinates to images, both `[..., channels, height, width]`."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Convert images to coordinates; the inverse of `decode`."""

    @abstractmethod
    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw the coordinates of random images.

        Args:
            shape: `(..., channels, height, width)`.
            generator: Draws the noise.

        Returns:
            Coordinates of that shape, on the CPU.
        """


@dataclass(frozen=True)
class Pixels(Coordinates):
    """Pixels as coordinates; noise is uniform in [0, 1].

    Args:
        bounds: Lower and upper bound of each pixel: (0, 1), or infinities for free pixels.
    """

    bounds: tuple[float, float]

    def decode(self, coordinates: Tensor) -> Tensor:
        """Return the coordinates unchanged."""
        return coordinates

    def encode(self, images: Tensor) -> Tensor:
        """Return the images unchanged."""
        return images

    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw pixels from the uniform distribution in [0, 1]."""
        return torch.rand(shape, generator=generator)


class Spectrum(Coordinates):
    """Frequencies of the principal colors, scaled so that public images have mean zero and variance one.

    Natural images vary a thousand times more in coarse shapes than in fine details, while the gradient of a network
    resolves both about equally well. A search in these coordinates that starts from the mean image therefore fits
    coarse shapes first, and fine details only if the gradient requires them.

    The coordinates are the orthonormal discrete cosine transform of the principal components of the colors.

    Args:
        public: Public images, `[m, channels, height, width]`, m at least 2.
    """

    bounds = (-math.inf, math.inf)

    def __init__(self, public: Tensor) -> None:
        """Fit mean, principal colors and scales to public images."""
        self.mean = public.mean(dim=0)
        centered = public - self.mean
        pixels = centered.movedim(1, 0).flatten(1)
        self._colors = torch.linalg.eigh(pixels @ pixels.T / pixels.shape[1]).eigenvectors.T
        self._vertical, self._horizontal = (_cosines(size).to(public) for size in public.shape[2:])
        self.scale = torch.ones_like(self.mean)
        self.scale = self._analyze(centered).std(dim=0) + _SMALLEST_SCALE

    def decode(self, coordinates: Tensor) -> Tensor:
        """Convert coordinates to images."""
        waves = self._vertical.T @ (coordinates * self.scale) @ self._horizontal
        return self.mean + torch.einsum("kc,...khw->...chw", self._colors, waves)

    def encode(self, images: Tensor) -> Tensor:
        """Convert images to coordinates."""
        return self._analyze(images - self.mean)

    def noise(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw standard normal coordinates, whose images are as smooth as the public ones."""
        return torch.randn(shape, generator=generator)

    def _analyze(self, centered: Tensor) -> Tensor:
        """Compute the scaled frequencies of centered images."""
        waves = torch.einsum("kc,...chw->...khw", self._colors, centered)
        return self._vertical @ waves @ self._horizontal.T / self.scale


def make_coordinates(space: Space, public: Tensor) -> Coordinates:
    """Create the coordinates of a search space.

    Args:
        space: "pixels" (free), "box" (pixels in [0, 1]), or "spectrum" (scaled frequencies).
        public: Public images, `[m, channels, height, width]`; only "spectrum" uses them.

    Returns:
        The coordinates.
    """
    if space == "spectrum":
        return Spectrum(public)
    return Pixels((0.0, 1.0) if space == "box" else (-math.inf, math.inf))


def _cosines(size: int) -> Tensor:
    """Return the orthonormal DCT-II matrix `[size, size]` in float64, one row for each frequency."""
    frequency, position = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size) + 0.5
    matrix = torch.cos(math.pi / size * frequency * position) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix
