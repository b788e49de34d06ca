"""Small views of an auditor and of a server, with the true samples."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from palimpsest.attacks import ArchitectView, AuditorView, BatchLabels, ServerView
from palimpsest.datasets import ImageSet, RowSet, SampleSet, TokenSet
from palimpsest.federation import observe, snapshot
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import ModelOracle
from palimpsest.storage import Parameters


def seeded(seed: int = 0) -> torch.Generator:
    """Make a generator with a seed."""
    return torch.Generator().manual_seed(seed)


class LinearOracle:
    """Oracle whose answers are a fixed linear map of the image, which a network can learn to invert."""

    def __init__(self, dimension: int = 40, pixels: int = 64) -> None:
        self.matrix = torch.randn(pixels, dimension, generator=seeded(1))
        self.queries = 0

    @property
    def dimension(self) -> int:
        return self.matrix.shape[1]

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.queries += len(labels)
        for rows in images.flatten(1).split(7):
            yield rows @ self.matrix


def smooth_images(count: int, seed: int) -> Tensor:
    """Make smooth random images, 1 x 8 x 8, each interpolated from four numbers."""
    corners = torch.rand(count, 1, 2, 2, generator=seeded(seed))
    return nn.functional.interpolate(corners, size=(8, 8), mode="bilinear", align_corners=True)


def linear_view(forgotten: Tensor) -> AuditorView:
    """Make the view of an auditor with a linear oracle and 300 auxiliary images of one class."""
    oracle = LinearOracle()
    auxiliary = ImageSet("auxiliary", smooth_images(300, seed=3), torch.zeros(300, dtype=torch.int64), 1)
    proofs = torch.cat(list(oracle.differences(forgotten, torch.zeros(len(forgotten)))))
    oracle.queries = 0
    return AuditorView(proofs, oracle, auxiliary, "cpu", 2**30)


def coarse_images(count: int, seed: int, *, cells: int = 4) -> ImageSet:
    """Make images of 16 x 16 pixels in three classes, each interpolated from cells x cells numbers."""
    corners = torch.rand(count, 1, cells, cells, generator=seeded(seed))
    images = nn.functional.interpolate(corners, size=(16, 16), mode="bilinear")
    return ImageSet("coarse", images, torch.arange(count) % 3, 3)


def model_view(
    build: Callable[[], nn.Module], forgotten: SampleSet, auxiliary: SampleSet, **settings: Any
) -> ArchitectView[Any]:
    """Make the view of an auditor of two models with different random parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = build(), build()
    proofs = gradient_differences(*models, forgotten.inputs, forgotten.labels)
    return ArchitectView(
        proofs, ModelOracle(*models), auxiliary, "cpu", 2**30, architecture=build(), **settings
    )


def rows(count: int, seed: int) -> RowSet:
    """Make rows of four columns that depend on two numbers each, in two classes."""
    values = torch.randn(count, 2, generator=seeded(seed)) @ torch.tensor([[1.0, 0, 2, -1], [0, 1, 1, 3]])
    return RowSet("rows", values, (values[:, 0] > 0).long(), 2, tuple("abcd"))


def row_model() -> nn.Module:
    """Make a perceptron for `rows`."""
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def tokens(count: int, seed: int) -> TokenSet:
    """Make sequences of length four over eight tokens, in two classes."""
    values = torch.randint(0, 8, (count, 4), generator=seeded(seed))
    return TokenSet("tokens", values, (values[:, 0] > 3).long(), 2)


class TokenModel(nn.Module):
    """Linear classifier of embeddings, for `tokens`."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 6)
        self.last_linear = nn.Linear(24, 2)

    def forward(self, sequences: Tensor) -> Tensor:
        return self.last_linear(self.embedding(sequences).flatten(1))


class CountingOracle(ModelOracle):
    """Oracle of two models that counts its queries."""

    queries = 0

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.queries += len(images)
        return super().differences(images, labels)


def small_network(channels: int) -> nn.Module:
    """Make a smooth network with large random weights, which gradient matching inverts easily."""
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


def small_perceptron(channels: int, *, units: int = 120) -> nn.Module:
    """Make a network of one hidden layer with ReLU for `small_images`, with PyTorch's initialization."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * 36, units), nn.ReLU(), nn.Linear(units, 4))


def small_images(count: int, channels: int, seed: int) -> ImageSet:
    """Make images of 6 x 6 pixels in four classes."""
    generator = seeded(seed)
    coarse = torch.rand(count, channels, 3, 3, generator=generator)
    images = nn.functional.interpolate(coarse, size=(6, 6), mode="bilinear", align_corners=True)
    return ImageSet("small", images, torch.randint(4, (count,), generator=generator), 4)


def noise_images(count: int, channels: int, seed: int) -> ImageSet:
    """Make noise of 6 x 6 pixels in four classes, whose activation patterns differ more than those of smooth images."""
    generator = seeded(seed)
    images = torch.rand(count, channels, 6, 6, generator=generator)
    return ImageSet("noise", images, torch.randint(4, (count,), generator=generator), 4)


class World:
    """The clients' true samples, and a server's view of them."""

    def __init__(
        self,
        *,
        channels: int = 1,
        retained: int = 2,
        forgotten: int = 1,
        batches: int = 3,
        local_steps: int = 1,
        moved: float = 0.01,
        build: Callable[[int], nn.Module] = small_network,
        images: Callable[[int, int, int], ImageSet] = small_images,
    ) -> None:
        self.network = build(channels)
        self.retained = images(retained * batches, channels, 5)
        self.forgotten = images(forgotten * batches, channels, 6)
        self.public = images(40, channels, 7)
        before = snapshot(self.network)
        after = {name: value + moved * torch.sin(37 * value) for name, value in before.items()}
        self.batches = batches
        self.view = self.view_of(before, after, local_steps)

    def view_of(self, before: Parameters, after: Parameters, local_steps: int = 1) -> ServerView:
        """Make the server's view of other parameters."""
        return ServerView(
            observation=observe(
                self.network,
                before,
                after,
                self.retained,
                self.forgotten,
                batches=self.batches,
                local_steps=local_steps,
                learning_rate=0.05,
            ),
            architecture=copy.deepcopy(self.network).to("meta"),
            public=self.public,
            labels=self.labels,
            device="cpu",
            memory_budget=2**30,
        )

    @property
    def labels(self) -> BatchLabels:
        """The true classes."""
        return BatchLabels(
            self.retained.labels.view(self.batches, -1), self.forgotten.labels.view(self.batches, -1)
        )

    @property
    def truth(self) -> tuple[Tensor, Tensor, BatchLabels]:
        """The retained and the forgotten images of each batch, and their classes."""
        retained, forgotten = (
            samples.images.unflatten(0, (self.batches, -1)) for samples in (self.retained, self.forgotten)
        )
        return retained, forgotten, self.labels


def tensors(value: object, visited: set[int] | None = None) -> list[Tensor]:
    """Return all tensors that are reachable from a value through attributes and containers."""
    visited = set() if visited is None else visited
    if id(value) in visited:
        return []
    visited.add(id(value))
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    else:
        parts = list(getattr(value, "__dict__", {}).values())
    return [tensor for part in parts for tensor in tensors(part, visited)]
