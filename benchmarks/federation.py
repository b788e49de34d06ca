"""What federation costs over plain SGD: 20 rounds in process against as many steps in one loop.

    python benchmarks/federation.py                  # ConvNet
    python benchmarks/federation.py --model resnet20 --rounds 2

With PALIMPSEST_DATA_DIR set it trains on CIFAR-10 as IGF does (40 clients, 10 % a round, 20 rounds), else on
as many random images.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from cyclopts import run
from torch.optim import SGD

from palimpsest.config import DataConfig, FederationConfig, ModelConfig
from palimpsest.datasets import FederatedData, ImageSet, load_data
from palimpsest.federation import Training, train
from palimpsest.models import build_model

SEED = 1234
LIMIT = 1.3


def main(model: str = "convnet", rounds: int = 20, repeats: int = 3) -> None:
    """Print the seconds of both, and their ratio.

    Args:
        model: The classifier.
        rounds: Rounds of 4 clients out of 40.
        repeats: How often both are timed, in turns; the medians are compared.
    """
    data, federation = load(), FederationConfig(rounds=rounds)
    architecture = ModelConfig(name=model)
    steps = count_steps(data, train(data, architecture, federation, seed=SEED), federation)
    federated, plain = [], []
    for _ in range(repeats):
        federated.append(seconds(partial(in_process, data, architecture, federation)))
        plain.append(seconds(partial(one_loop, data, architecture, federation, steps)))
    ratio = statistics.median(federated) / statistics.median(plain)
    print(f"{model}, {len(data.train):,} images of {data.train.name}, {steps:,} steps")
    print(f"{'':<22}{'median':>9}{'fastest':>9}{'slowest':>9}")
    for name, times in ((f"{rounds} rounds in process", federated), ("one loop", plain)):
        print(f"{name:<22}{statistics.median(times):>8.2f}s{min(times):>8.2f}s{max(times):>8.2f}s")
    print(f"ratio {ratio:.3f}, allowed {LIMIT}")


def load() -> FederatedData:
    folder = os.environ.get("PALIMPSEST_DATA_DIR")
    if folder:
        return load_data(DataConfig(name="cifar10"), clients=40, seed=SEED, data_dir=Path(folder))
    generator = torch.Generator().manual_seed(SEED)
    images = ImageSet(
        "noise", torch.rand(40_000, 3, 32, 32, generator=generator), torch.arange(40_000) % 10, 10
    )
    few = images.subset(torch.arange(100))
    clients = torch.randperm(40_000, generator=generator).split(1000)
    return FederatedData(images, clients, few, few, few, few, ())


def count_steps(data: FederatedData, training: Training, federation: FederationConfig) -> int:
    sizes = [len(data.clients[client]) for one in training.rounds for client in one.used]
    return sum(-(-size // federation.batch_size) for size in sizes) * federation.local_epochs


def in_process(data: FederatedData, model: ModelConfig, federation: FederationConfig) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        train(data, model, federation, seed=SEED, scratch=Path(scratch))


def one_loop(data: FederatedData, model: ModelConfig, federation: FederationConfig, steps: int) -> None:
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


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    run(main)
