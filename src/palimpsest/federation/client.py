"""Client side of a round, shared by all engines: local training, and the messages."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from palimpsest.federation.dp_sgd import private_gradients, sampling
from palimpsest.federation.work import Outcome, PrivateWork, Shard, Work
from palimpsest.models import laid_out_for, load_parameters
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters


class Optimizer(Protocol):
    """Interface that local training needs of an optimizer."""

    def zero_grad(self) -> None:
        """Clear the parameters' gradients."""
        ...

    def step(self) -> object:
        """Update the parameters from their gradients."""
        ...


class LocalTraining(PrivateWork):
    """Epochs of mini-batch SGD on the client's rows (McMahan et al. 2017), optionally with FedProx's proximal term.

    Args:
        epochs: Passes over the rows.
        batch_size: Rows in a batch.
        learning_rate: Step size.
        momentum: SGD momentum.
        weight_decay: L2 penalty of SGD.
        proximal_mu: Weight mu of the proximal term; 0 means that there is no such term.
        dp: Settings of DP-SGD, which replaces each batch by a Poisson sample of the same expected size, and its
            gradient by a noisy mean of clipped gradients. The losses that are recorded for the report are not private.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal_mu: float = 0.0

    def optimizer(self, parameters: list[nn.Parameter]) -> Optimizer:
        """Return a new optimizer; clients keep no optimizer state between rounds.

        Args:
            parameters: Parameters to train.
        """
        return SGD(parameters, lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Train the model until the first loss that is not finite; see `Work` for the arguments."""
        with _seeded(model, derive_seed(seed, "dropout")):
            return self._train(model, shard, seed=seed)

    def private_steps(self, samples: int) -> tuple[float, int]:
        """Return the sampling rate and the steps of all epochs; see `PrivateWork`."""
        rate, steps = sampling(samples, self.batch_size)
        return rate, self.epochs * steps

    def epoch(self, rows: Tensor, *, seed: int) -> Iterator[Tensor]:
        """Yield the batches of one epoch; DP-SGD samples its batches in another way.

        Args:
            rows: Distinct row numbers, `[n]` int64.
            seed: Seed of this epoch.

        Yields:
            Row numbers of a batch.
        """
        yield from batches(rows, self.batch_size, seed=seed)

    def _train(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        model.train()
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        anchors = [parameter.detach().clone() for parameter in parameters] if self.proximal_mu else []
        optimizer = self.optimizer(parameters)
        total, steps = 0.0, 0
        for value in self._gradients(model, shard, optimizer, seed=seed):
            _add_proximal_gradient(parameters, anchors, self.proximal_mu)
            optimizer.step()
            steps += 1
            if not math.isfinite(value):
                return Outcome(math.nan, steps)
            total += value
        return Outcome(total / steps, steps)

    def _gradients(
        self, model: nn.Module, shard: Shard, optimizer: Optimizer, *, seed: int
    ) -> Iterator[float]:
        """Set the parameters' gradients for each step, and yield the step's loss."""
        if self.dp is not None:
            rate, steps = self.private_steps(len(shard))
            held = shard.images, shard.labels, shard.rows
            yield from private_gradients(model, *held, self.dp, rate=rate, steps=steps, seed=seed)
            return
        for epoch in range(self.epochs):
            for batch in self.epoch(shard.rows, seed=derive_seed(seed, "epoch", epoch)):
                optimizer.zero_grad()
                images = laid_out_for(model, shard.images[batch])
                loss = F.cross_entropy(model(images), shard.labels[batch])
                loss.backward()
                yield loss.item()


@contextmanager
def _seeded(model: nn.Module, seed: int) -> Iterator[None]:
    """Seed the random numbers of layers such as dropout, and restore PyTorch's global random state at the end."""
    device = next(model.parameters()).device
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for one in cuda:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


def batches(rows: Tensor, batch_size: int, *, seed: int) -> Iterator[Tensor]:
    """Yield the rows in random order, one batch at a time; the last batch may be smaller.

    The order of two rows depends only on their numbers and the seed. A client that lost a row therefore visits the
    others in the same order, and retraining differs by the forgotten data, not by a different shuffle.

    Args:
        rows: Distinct row numbers, `[n]` int64.
        batch_size: Rows in a batch.
        seed: Seed of this epoch.

    Yields:
        Row numbers of a batch, `[batch_size]` int64.
    """
    yield from rows[_sort_keys(rows.cpu(), seed).argsort().to(rows.device)].split(batch_size)


def _sort_keys(rows: Tensor, seed: int) -> Tensor:
    # SplitMix64 (Steele et al. 2014) is a bijection of 64-bit integers, so there are no ties. Torch shifts
    # arithmetically, so the sign bits that are shifted in must be masked.
    keys = rows * (0x9E3779B97F4A7C15 - 2**64) + seed
    keys = (keys ^ (keys >> 30 & 2**34 - 1)) * (0xBF58476D1CE4E5B9 - 2**64)
    keys = (keys ^ (keys >> 27 & 2**37 - 1)) * (0x94D049BB133111EB - 2**64)
    return keys ^ (keys >> 31 & 2**33 - 1)


def _add_proximal_gradient(parameters: list[nn.Parameter], anchors: list[Tensor], mu: float) -> None:
    """Add the gradient of mu/2 ||w - w_t||^2 (FedProx, Li et al. 2020, Eq. 2)."""
    for parameter, anchor in zip(parameters, anchors, strict=False):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - anchor, alpha=mu)


@dataclass(frozen=True)
class Payload:
    """Message from the server to the clients.

    Args:
        round: Index of the round, from 0.
        seed: Seed from which each client's seed is derived.
        work: Task to carry out.
        parameters: Global parameters.
    """

    round: int
    seed: int
    work: Work
    parameters: Parameters


@dataclass(frozen=True)
class Reply:
    """Message from a client to the server.

    Args:
        client: Index of the client.
        samples: Weight in the aggregation; 0 if the client holds no data.
        parameters: The client's parameters and buffers; empty if it holds no data.
        loss: Mean training loss.
    """

    client: int
    samples: int
    parameters: Parameters
    loss: float


def answer(model: nn.Module, client: int, shard: Shard, payload: Payload) -> Reply:
    """Carry out a payload's work for one client.

    Args:
        model: Any instance of the architecture; its parameters are overwritten.
        client: Index of the client.
        shard: The client's data, on the model's device.
        payload: The server's message.

    Returns:
        The client's reply.
    """
    if not len(shard):
        return Reply(client, 0, {}, 0.0)
    load_parameters(model, payload.parameters)
    seed = derive_seed(payload.seed, "federation", "client", client, payload.round)
    outcome = payload.work(model, shard, seed=seed)
    return Reply(client, len(shard), snapshot(model), outcome.loss)


def snapshot(model: nn.Module) -> Parameters:
    """Return a copy of a model's parameters and buffers in main memory."""
    with torch.no_grad():
        return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
