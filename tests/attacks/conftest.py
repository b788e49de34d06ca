from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from palimpsest.attacks import AuditorView, BatchLabels, ServerView
from palimpsest.datasets import ImageSet
from palimpsest.federation import observe, snapshot
from palimpsest.storage import Parameters


class LinearOracle:
    """An oracle whose answers are a fixed linear map of the image: what it hides can be learned."""

    def __init__(self, dimension: int = 40, pixels: int = 64) -> None:
        self.matrix = torch.randn(pixels, dimension, generator=torch.Generator().manual_seed(1))
        self.queries = 0

    @property
    def dimension(self) -> int:
        return self.matrix.shape[1]

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.queries += len(labels)
        for rows in images.flatten(1).split(7):
            yield rows @ self.matrix


def drawn_images(count: int, seed: int) -> Tensor:
    """Smooth random images, 1 x 8 x 8, of four numbers each."""
    corners = torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(corners, size=(8, 8), mode="bilinear", align_corners=True)


@pytest.fixture
def forgotten() -> Tensor:
    return drawn_images(20, seed=2)


@pytest.fixture
def view(forgotten: Tensor) -> AuditorView:
    oracle = LinearOracle()
    images = drawn_images(300, seed=3)
    auxiliary = ImageSet("auxiliary", images, torch.zeros(300, dtype=torch.int64), 1)
    proofs = torch.cat(list(oracle.differences(forgotten, torch.zeros(20))))
    oracle.queries = 0
    return AuditorView(proofs, oracle, auxiliary, "cpu", 2**30)


def small_network(channels: int) -> nn.Module:
    """Smooth, with wide random weights, as gradient matching likes it."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(channels, 6, 3, stride=2, padding=1),
            nn.Sigmoid(),
            nn.Flatten(),
            nn.Linear(6 * 3 * 3, 4),
        )
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -0.5, 0.5)
    return network


def images_of(count: int, channels: int, seed: int) -> ImageSet:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 3, 3, generator=generator)
    images = nn.functional.interpolate(coarse, size=(6, 6), mode="bilinear", align_corners=True)
    return ImageSet("small", images, torch.randint(4, (count,), generator=generator), 4)


class World:
    """A client's truth and a server's view of it."""

    def __init__(
        self,
        *,
        channels: int = 1,
        remaining: int = 2,
        forgotten: int = 1,
        batches: int = 3,
        local_steps: int = 1,
        moved: float = 0.01,
    ) -> None:
        self.network = small_network(channels)
        self.remaining = images_of(remaining * batches, channels, 5)
        self.forgotten = images_of(forgotten * batches, channels, 6)
        before = snapshot(self.network)
        after = {name: value + moved * torch.sin(37 * value) for name, value in before.items()}
        self.batches = batches
        self.view = self.seen(before, after, local_steps)

    def seen(self, before: Parameters, after: Parameters, local_steps: int = 1) -> ServerView:
        return ServerView(
            observation=observe(
                self.network,
                before,
                after,
                self.remaining,
                self.forgotten,
                batches=self.batches,
                local_steps=local_steps,
                learning_rate=0.05,
            ),
            architecture=small_network(self.remaining.shape[0]).to("meta"),
            public=images_of(40, self.remaining.shape[0], 7),
            labels=self.labels,
            device="cpu",
            memory_budget=2**30,
        )

    @property
    def labels(self) -> BatchLabels:
        return BatchLabels(
            self.remaining.labels.view(self.batches, -1), self.forgotten.labels.view(self.batches, -1)
        )

    @property
    def truth(self) -> tuple[Tensor, Tensor, BatchLabels]:
        stay, leave = (
            some.images.unflatten(0, (self.batches, -1)) for some in (self.remaining, self.forgotten)
        )
        return stay, leave, self.labels


@pytest.fixture
def world() -> type[World]:
    return World
