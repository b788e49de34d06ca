"""One training loop for the networks of the learned attacks: optimizer steps, divergence check, history."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import TypeVar

from palimpsest.attacks.learned.precision import Precision, fabric_precision, laid_out
from palimpsest.errors import DivergenceError
from palimpsest.progress import progress_line

if TYPE_CHECKING:
    from lightning_fabric import Fabric

History = dict[str, list[float]]
"""Named series with one value an epoch."""
_VALIDATION_BATCH = 256


class TrainingPairs(Protocol):
    """Inputs of a network and the outputs that it should give: what one epoch trains on."""

    def __len__(self) -> int:
        """The number of pairs."""
        ...

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of inputs and targets.

        Args:
            size: Pairs in a batch; the last batch may have fewer.
            order: The pairs in the order in which they are taken, `[n]` int64.
        """
        ...


P = TypeVar("P", bound=TrainingPairs)
MeanLoss = Callable[[Sequence[Tensor], Sequence[int]], float]
"""An epoch's loss, from the losses of its steps and the numbers of pairs in them."""


def mean_over_steps(losses: Sequence[Tensor], sizes: Sequence[int]) -> float:
    """Average the losses of an epoch's steps, in float32, each step with the same weight."""
    return float(torch.stack([*losses]).mean())


def mean_over_pairs(losses: Sequence[Tensor], sizes: Sequence[int]) -> float:
    """Average the losses of an epoch's steps, in float64, each step weighted by its number of pairs."""
    total = 0.0
    for loss, size in zip(losses, sizes, strict=True):
        total += loss.item() * size
    return total / sum(sizes)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What `train` minimizes, and how.

    Args:
        description: Name of the network and of its progress line, such as "inverter".
        epochs: Passes over the pairs, 1 or more.
        batch_size: Pairs in a step, 1 or more.
        loss: From the network's outputs and the targets of a batch to the scalar that is minimized.
        optimizer: Holds the network's parameters.
        schedule: Learning rates of that optimizer.
        schedule_interval: Whether the schedule advances after each step or after each epoch.
        mean_loss: How the losses of an epoch's steps become one value of the history.
        errors: From outputs and targets of a validation batch to values `[k]`, whose mean over all batches is recorded.
        remedy: What the user should do when the loss is not finite, the end of a sentence.
        names: Keys of the history: of the training loss and of the validation error.
    """

    description: str
    epochs: int
    batch_size: int
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Optimizer
    schedule: LRScheduler
    schedule_interval: Literal["step", "epoch"] = "step"
    mean_loss: MeanLoss = mean_over_steps
    errors: Callable[[Tensor, Tensor], Tensor]
    remedy: str
    names: tuple[str, str]


def train(
    network: nn.Module,
    training_pairs: Callable[[int], TrainingPairs],
    validation: TrainingPairs | None,
    training: Training,
    *,
    generator: Generator,
    fabric: "Fabric",
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> History:
    """Train a network in place; it ends in eval mode.

    Dropout draws from torch's global random state: wrap the call in `global_seed` for a network that has any.

    Args:
        network: From inputs to outputs.
        training_pairs: The pairs of each epoch, counted from 0; always the same number.
        validation: Pairs kept aside. Their error is recorded after each epoch and chooses nothing. If omitted or
            empty, the history has no validation error.
        training: Loss, optimizer, and schedule.
        generator: Draws the order of the pairs, once an epoch.
        fabric: Device and number format. With several processes each takes a share of every step.
        on_epoch: Receives the values of each epoch instead of the progress line.

    Returns:
        The history: one value an epoch for each of `training.names`, without the second one if nothing was kept aside.

    Raises:
        DivergenceError: The loss of a step is not finite.
    """
    module, optimizer = fabric.setup(laid_out(network), training.optimizer)
    loss_name, validation_name = training.names
    history: History = {loss_name: []}
    with progress_line(f"train {training.description}", training.epochs) as line:
        for epoch in range(training.epochs):
            pairs = training_pairs(epoch)
            order = torch.randperm(len(pairs), generator=generator)
            batches = pairs.batches(training.batch_size, order)
            loss = _train_epoch(module, optimizer, batches, training, fabric, epoch)
            history[loss_name].append(loss)
            values = {"loss": loss}
            if validation is not None and len(validation):
                error = _validation_error(module, validation, training, fabric)
                history.setdefault(validation_name, []).append(error)
                values["validation MSE"] = error
            on_epoch(values) if on_epoch else line.advance(values=values)
    network.eval()
    return history


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed torch's global random state, from which dropout and fresh weights draw, and restore it at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def refreshed_pairs(first: P, renew: Callable[[], P], *, refreshes: int, epochs: int) -> Callable[[int], P]:
    """Training pairs for a stochastic oracle, which is queried again during training.

    Args:
        first: The pairs of the first epoch.
        renew: Queries the oracle again.
        refreshes: How many sets of pairs are used, the first one included, spread evenly over the epochs. At most
            one set an epoch is used.
        epochs: Passes over the pairs.

    Returns:
        From an epoch, counted from 0, to its pairs; to be called with rising epochs.
    """
    refreshes = min(refreshes, epochs)
    current = {0: first}

    def training_pairs(epoch: int) -> P:
        number = epoch * refreshes // epochs
        if number not in current:
            current.clear()
            current[number] = renew()
        return current[number]

    return training_pairs


def make_fabric(precision: Precision, device: str, *, processes: int = 1) -> "Fabric":
    """Set up Lightning Fabric.

    Args:
        precision: Number format of matrix products and convolutions.
        device: "cpu" or "cuda".
        processes: How many processes share the work: one for each GPU, or processes on one CPU.
    """
    # Imported late: it takes longer than the rest of the package. It also logs its precision at each start.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    from lightning_fabric import Fabric

    return Fabric(
        accelerator=device,
        devices=processes,
        strategy="ddp_spawn" if processes > 1 else "auto",
        precision=fabric_precision(precision, device),
    )


def _train_epoch(
    module: nn.Module,
    optimizer: Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    training: Training,
    fabric: "Fabric",
    epoch: int,
) -> float:
    """One pass over the pairs; the epoch's loss."""
    module.train()
    losses: list[Tensor] = []
    sizes: list[int] = []
    for batch in batches:
        if len(batch[0]) < fabric.world_size:
            continue
        inputs, targets = (fabric.to_device(part[fabric.global_rank :: fabric.world_size]) for part in batch)
        loss = training.loss(module(inputs), targets)
        # All processes see the same mean, so that all of them stop at the same step.
        reduced = fabric.all_reduce(loss.detach())
        assert isinstance(reduced, Tensor), "the mean of tensors is a tensor"
        losses.append(reduced)
        sizes.append(len(batch[0]))
        _check_finite(float(losses[-1]), len(losses), epoch, training)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        if training.schedule_interval == "step":
            training.schedule.step()
    if training.schedule_interval == "epoch":
        training.schedule.step()
    return training.mean_loss(losses, sizes)


def _validation_error(module: nn.Module, pairs: TrainingPairs, training: Training, fabric: "Fabric") -> float:
    module.eval()
    with torch.inference_mode():
        errors = [
            training.errors(module(fabric.to_device(inputs)), fabric.to_device(targets))
            for inputs, targets in pairs.batches(_VALIDATION_BATCH, torch.arange(len(pairs)))
        ]
    return float(torch.cat(errors).mean())


def _check_finite(loss: float, step: int, epoch: int, training: Training) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(
            f"The loss of the {training.description} is {loss} in step {step} of epoch {epoch + 1}: "
            f"{training.remedy}."
        )
