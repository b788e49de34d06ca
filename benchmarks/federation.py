"""Benchmark of in-process federation against centralized SGD, and of prediction against ordinary batches.

With PALIMPSEST_DATA_DIR set, it trains on CIFAR-10 as IGF does (40 clients, 10 % a round), otherwise on the same amount
of noise.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from benchmarks.timing import Clock, Line, lines_of
from palimpsest.config import DataConfig, FederationConfig, ModelConfig
from palimpsest.datasets import FederatedData, ImageSet, load_data
from palimpsest.federation import Federation, Training, predict, train
from palimpsest.models import build_model

SEED = 1234


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure rounds of a ConvNet's training against centralized SGD, and its logits.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    data = noise(400, clients=40) if quick else load()
    federation = FederationConfig(rounds=1 if quick else 2)
    architecture = ModelConfig(name="lenet" if quick else "convnet")
    steps = count_steps(data, train(Federation(data, architecture, federation, SEED)), federation)
    seconds = clock.race(
        {
            "ours": partial(in_process, data, architecture, federation),
            "centralized SGD": partial(centralized, data, architecture, federation, steps),
        }
    )
    task = f"federation, {federation.rounds} rounds of 4 clients, {steps:,} steps"
    network = build_model(architecture, shape=data.train.shape, classes=data.train.classes, seed=SEED)
    images = data.train.images[: 100 if quick else 4000]
    prediction = clock.race(
        {
            "ours": partial(predict, network, images),
            "batches of 512": partial(predict_in_batches, network, images),
        }
    )
    return [
        *lines_of(task, seconds, targets={"centralized SGD": 1 / 1.3}),
        *lines_of(f"logits of {len(images):,} images", prediction),
    ]


def load() -> FederatedData:
    """Load CIFAR-10 if PALIMPSEST_DATA_DIR is set, otherwise make noise."""
    folder = os.environ.get("PALIMPSEST_DATA_DIR")
    if folder:
        return load_data(DataConfig(name="cifar10"), clients=40, seed=SEED, data_dir=Path(folder))
    return noise(40_000, clients=40)


def noise(count: int, *, clients: int) -> FederatedData:
    """Make random images of ten classes.

    Args:
        count: Number of images.
        clients: Number of clients that share them.
    """
    generator = torch.Generator().manual_seed(SEED)
    images = ImageSet(
        "noise", torch.rand(count, 3, 32, 32, generator=generator), torch.arange(count) % 10, 10
    )
    subset = images.subset(torch.arange(min(100, count)))
    parts = torch.randperm(count, generator=generator).split(count // clients)
    return FederatedData(images, parts, subset, subset, subset, subset, ())


def count_steps(data: FederatedData, training: Training, federation: FederationConfig) -> int:
    """Count the optimizer steps of all clients in a training."""
    sizes = [len(data.clients[client]) for done in training.rounds for client in done.used]
    return sum(-(-size // federation.batch_size) for size in sizes) * federation.local_epochs


def in_process(data: FederatedData, model: ModelConfig, federation: FederationConfig) -> None:
    """Train the federation in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        train(Federation(data, model, federation, SEED), scratch=Path(scratch))


def centralized(data: FederatedData, model: ModelConfig, federation: FederationConfig, steps: int) -> None:
    """Take the same number of steps of the same optimizer without a federation."""
    network = build_model(model, shape=data.train.shape, classes=data.train.classes, seed=SEED)
    optimizer = SGD(network.parameters(), lr=federation.learning_rate, momentum=federation.momentum)
    generator = torch.Generator().manual_seed(SEED)
    done = 0
    while done < steps:
        order = torch.randperm(len(data.train), generator=generator)
        for batch in order.split(federation.batch_size)[: steps - done]:
            optimizer.zero_grad()
            F.cross_entropy(network(data.train.images[batch]), data.train.labels[batch]).backward()
            optimizer.step()
            done += 1


@torch.no_grad()
def predict_in_batches(network: nn.Module, images: Tensor) -> Tensor:
    """Compute logits in batches of 512, in the images' memory layout."""
    return torch.cat([network(batch) for batch in images.split(512)])
