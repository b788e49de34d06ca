"""Training loop for all networks of the learned attacks: optimizer steps, divergence check, history."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import TypeVar

from palimpsest.attacks.learned.precision import Precision, fabric_precision, use_channels_last
from palimpsest.errors import DivergenceError
from palimpsest.progress import progress_line

if TYPE_CHECKING:
    from lightning_fabric import Fabric

History = dict[str, list[float]]
"""Named series with one value per epoch."""
_VALIDATION_BATCH = 256


class TrainingPairs(Protocol):
    """Pairs of a network's input and its target, as used in one epoch."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        ...

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of inputs and targets.

        Args:
            size: Pairs in a batch; the last batch may be smaller.
            order: Indices of the pairs, in the order of the batches, `[n]` int64.
        """
        ...


P = TypeVar("P", bound=TrainingPairs)
MeanLoss = Callable[[Sequence[Tensor], Sequence[int]], float]
"""Function from the losses of an epoch's steps and the numbers of pairs in them to the epoch's loss."""


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
    """Settings of `train`: loss, optimizer, schedule, and the names that are reported.

    Args:
        description: Name of the network in messages and on the progress line, such as "inverter".
        epochs: Number of passes over the pairs, 1 or more.
        batch_size: Pairs in a step, 1 or more.
        loss: Function from a batch's outputs and targets to the scalar that is minimized.
        optimizer: Optimizer of the network's parameters.
        schedule: Learning-rate schedule of the optimizer.
        schedule_interval: Whether the schedule advances after each step or after each epoch.
        mean_loss: Function that averages the losses of an epoch's steps.
        errors: Function from a validation batch's outputs and targets to values `[k]`. Their mean over all batches is
            recorded.
        remedy: Advice to the user if the loss is not finite, as the end of a sentence.
        names: Keys of the training loss and of the validation error in the history.
        patience: Number of epochs without a smaller validation error after which the training stops; the weights of the
            best epoch are kept. None trains all epochs and keeps the last weights.
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
    patience: int | None = None


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
    """Train a network in place, and leave it in eval mode.

    Dropout draws from torch's global random state. If the network has dropout, wrap the call in `global_seed`.

    Args:
        network: Network from inputs to outputs.
        training_pairs: Returns the pairs of an epoch, counted from 0; their number is the same in each epoch.
        validation: Pairs held out from training. Their error is recorded after each epoch, and decides with
            `training.patience` when to stop and which weights to keep. If None or empty, all epochs are trained, and
            the history has no validation error.
        training: Loss, optimizer, and schedule.
        generator: Draws the order of the pairs, once per epoch.
        fabric: Device and number format. Several processes share the rows of each step.
        on_epoch: Callback that receives the values of each epoch. If omitted, the progress line shows them.

    Returns:
        The history, with one value per trained epoch for each of `training.names`; the validation error only if there
        are validation pairs.

    Raises:
        DivergenceError: The loss of a step is not finite.
    """
    module, optimizer = fabric.setup(use_channels_last(network), training.optimizer)
    loss_name, validation_name = training.names
    history: History = {loss_name: []}
    best = _BestWeights()
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
                if training.patience is not None:
                    best.update(error, epoch, network)
            on_epoch(values) if on_epoch else line.advance(values=values)
            if training.patience is not None and best.weights and epoch - best.epoch >= training.patience:
                break
    if best.weights:
        network.load_state_dict(best.weights)
    network.eval()
    return history


@dataclass
class _BestWeights:
    """Weights of the epoch with the smallest validation error so far."""

    epoch: int = -1
    error: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def update(self, error: float, epoch: int, network: nn.Module) -> None:
        """Copy the weights if the error is the smallest so far."""
        if error < self.error:
            self.epoch, self.error = epoch, error
            self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed torch's global random state, which dropout and weight initialization use, and restore it at the end.

    Args:
        seed: Seed of the global generators.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def refreshed_pairs(first: P, renew: Callable[[], P], *, refreshes: int, epochs: int) -> Callable[[int], P]:
    """Return the source of each epoch's pairs for a stochastic oracle, which is queried again during training.

    Args:
        first: Pairs of the first epoch.
        renew: Function that queries the oracle again and returns new pairs.
        refreshes: Number of sets of pairs, including the first, spread evenly over the epochs; at most one per epoch.
        epochs: Number of passes over the pairs.

    Returns:
        Function from an epoch, counted from 0, to its pairs. Call it with ascending epochs.
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
        processes: Number of processes that share the work, one for each GPU or all on the CPU.

    Returns:
        The Fabric, not launched yet.
    """
    # Fabric logs its precision at each start. It is imported late because its import is slow.
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
    """Train for one pass over the pairs, and return the epoch's loss."""
    module.train()
    losses: list[Tensor] = []
    sizes: list[int] = []
    for batch in batches:
        if len(batch[0]) < fabric.world_size:
            continue
        inputs, targets = (fabric.to_device(part[fabric.global_rank :: fabric.world_size]) for part in batch)
        loss = training.loss(module(inputs), targets)
        # All processes check the same mean, so that they stop at the same step.
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
    """Compute the mean error on the validation pairs."""
    module.eval()
    with torch.inference_mode():
        errors = [
            training.errors(module(fabric.to_device(inputs)), fabric.to_device(targets))
            for inputs, targets in pairs.batches(_VALIDATION_BATCH, torch.arange(len(pairs)))
        ]
    mean = float(torch.cat(errors).mean())
    if fabric.world_size == 1:
        return mean
    # All processes use the same mean, so that they stop after the same epoch.
    reduced = fabric.all_reduce(torch.tensor(mean, device=fabric.device))
    assert isinstance(reduced, Tensor), "the mean of tensors is a tensor"
    return float(reduced)


def _check_finite(loss: float, step: int, epoch: int, training: Training) -> None:
    """Raise a DivergenceError if the loss is not finite."""
    if not math.isfinite(loss):
        raise DivergenceError(
            f"The loss of the {training.description} is {loss} in step {step} of epoch {epoch + 1}: "
            f"{training.remedy}."
        )
