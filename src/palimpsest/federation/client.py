"""What a client does in a round: one function, the same for every engine."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.optim import SGD

from palimpsest.models import laid_out_for
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters


@dataclass(frozen=True)
class Shard:
    """What one client holds: `rows` of images and labels, whose other rows it never uses."""

    images: Tensor
    labels: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Outcome:
    """How a client's work went: the mean loss over its steps (NaN: it diverged) and the steps taken."""

    loss: float
    steps: int


class Work(BaseModel, ABC):
    """What the server asks of a client: frozen plain data, so that it can travel to another machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Change the model, which holds the global parameters, with what the client holds.

        Args:
            model: Changed in place.
            shard: At least one row.
            seed: Of this client in this round.
        """


class Optimizer(Protocol):
    """What local training needs of an optimizer."""

    def zero_grad(self) -> None:
        """Forget the last gradients."""
        ...

    def step(self) -> object:
        """Change the parameters by the gradients that they hold."""
        ...


class LocalTraining(Work):
    """Passes of mini-batch SGD over the client's rows (McMahan et al. 2017), with FedProx's term."""

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal_mu: float = 0.0

    def optimizer(self, parameters: list[nn.Parameter]) -> Optimizer:
        """A fresh optimizer: clients keep no state from round to round."""
        return SGD(parameters, lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Train the model, and stop at the first loss that is not finite; see `Work` for the arguments."""
        model.train()
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        anchors = [parameter.detach().clone() for parameter in parameters] if self.proximal_mu else []
        optimizer = self.optimizer(parameters)
        total, steps = 0.0, 0
        for epoch in range(self.epochs):
            for batch in batches(shard.rows, self.batch_size, seed=derive_seed(seed, "epoch", epoch)):
                optimizer.zero_grad()
                images = laid_out_for(model, shard.images[batch])
                loss = F.cross_entropy(model(images), shard.labels[batch])
                loss.backward()
                _pull_back(parameters, anchors, self.proximal_mu)
                optimizer.step()
                steps += 1
                value = loss.item()
                if not math.isfinite(value):
                    return Outcome(math.nan, steps)
                total += value
        return Outcome(total / steps, steps)


def batches(rows: Tensor, batch_size: int, *, seed: int) -> Iterator[Tensor]:
    """The rows in an order drawn from the seed, a batch at a time; the last batch may be smaller.

    A row's place follows from its own number and the seed, so that a client that lost a row goes through the
    others in the same order: retraining differs by the forgotten data and not by another shuffle.

    Args:
        rows: Distinct row numbers, `[n]` int64.
        batch_size: Rows in a batch.
        seed: Of this pass.
    """
    yield from rows[_scatter(rows.cpu(), seed).argsort().to(rows.device)].split(batch_size)


def _scatter(rows: Tensor, seed: int) -> Tensor:
    # SplitMix64 (Steele et al. 2014): a bijection of 64-bit integers, hence no ties. Torch's shifts are
    # arithmetic, so the bits that they bring in are masked.
    keys = rows * (0x9E3779B97F4A7C15 - 2**64) + seed
    keys = (keys ^ (keys >> 30 & 2**34 - 1)) * (0xBF58476D1CE4E5B9 - 2**64)
    keys = (keys ^ (keys >> 27 & 2**37 - 1)) * (0x94D049BB133111EB - 2**64)
    return keys ^ (keys >> 31 & 2**33 - 1)


def _pull_back(parameters: list[nn.Parameter], anchors: list[Tensor], mu: float) -> None:
    """Add the gradient of mu/2 ||w - w_t||^2 (FedProx, Li et al. 2020, Eq. 2)."""
    for parameter, anchor in zip(parameters, anchors, strict=False):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - anchor, alpha=mu)


@dataclass(frozen=True)
class Payload:
    """What the server sends: the global parameters and what to do with them."""

    round: int
    seed: int
    work: Work
    parameters: Parameters


@dataclass(frozen=True)
class Reply:
    """What a client sends back; `samples` is its weight in the aggregation, 0 where it holds nothing."""

    client: int
    samples: int
    parameters: Parameters
    loss: float


def answer(model: nn.Module, client: int, shard: Shard, payload: Payload) -> Reply:
    """Do the work and reply.

    Args:
        model: Any instance of the architecture; its parameters are overwritten.
        client: Who answers.
        shard: What it holds, on the model's device.
        payload: What the server sent.
    """
    if not len(shard):
        return Reply(client, 0, {}, 0.0)
    model.load_state_dict(payload.parameters)
    seed = derive_seed(payload.seed, "federation", "client", client, payload.round)
    outcome = payload.work(model, shard, seed=seed)
    return Reply(client, len(shard), snapshot(model), outcome.loss)


def snapshot(model: nn.Module) -> Parameters:
    """A copy of a model's parameters and buffers, in main memory."""
    with torch.no_grad():
        return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
