"""How an inversion network learns: from the auditor's own queries, nothing else (IGF, section 3.2, iii)."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from palimpsest.attacks.learned.perceptual_loss import VggFeatures, perceptual_distance
from palimpsest.attacks.learned.precision import Precision, fabric_precision, laid_out
from palimpsest.errors import DivergenceError
from palimpsest.progress import progress_line
from palimpsest.randomness import fork

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Schedule = Literal["constant", "one-cycle"]
# AdamW's customary decay; without a schedule the optimiser is the paper's Adam.
_DECAY, _RISE = 1e-2, 0.1


@dataclass(frozen=True)
class Pairs:
    """What the auditor learns from: the features of its queries, and the images that it asked about.

    Args:
        features: `[m, k]`, float16 or float32.
        levels: The images in 8-bit levels, `[m, channels, height, width]` uint8.
        rows: Which of them are meant, `[n]`.
    """

    features: Tensor
    levels: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Features and images in [0, 1] in this order of the pairs, `size` at a time."""
        for rows in self.rows[order].split(size):
            yield self.features[rows].float(), self.levels[rows].float() / 255


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long and how fast an inverter is trained.

    Args:
        epochs: Passes over the pairs.
        batch_size: Pairs in a step.
        learning_rate: Adam's, or the highest one of the schedule.
        schedule: Whether the rate is kept or rises and falls (Smith and Topin 2018), then with decoupled weight decay.
        beta: Weight of the perceptual distance (Eq. 6).
        perceptual_batch: On how many images of a step that distance is measured; none for all of them.
        precision: Number format of the network's products; auto takes bfloat16 where the processor has it.
        device: Where it runs.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    beta: float
    perceptual_batch: int | None
    precision: Precision
    device: str


def train_inverter(
    inverter: nn.Module,
    lesson: Callable[[int], Pairs],
    validation: Pairs,
    perceptual: VggFeatures | None,
    plan: TrainingPlan,
    *,
    generator: Generator,
    fabric: "Fabric | None" = None,
    told: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, list[float]]:
    """Minimise MSE + beta x perceptual distance over the pairs, in place (IGF, Eqs. 6 to 8).

    Args:
        inverter: The network, from features to images; it ends in eval mode.
        lesson: What is learned from in each epoch, counted from 0; always as many pairs.
        validation: Pairs kept aside for the curve; they choose nothing.
        perceptual: VGG's features, or none where beta is 0.
        plan: Epochs and rates.
        generator: Order of the pairs and dropout.
        fabric: Where it runs, as one of several processes that take a share of each step; none for alone.
        told: Hears each epoch's values instead of the progress line.

    Returns:
        The curves `training_loss` and, where pairs were kept aside, `validation_mse`, one value an epoch.

    Raises:
        DivergenceError: The loss stopped being finite.
    """
    fabric = fabric or make_fabric(plan)
    optimizer = _make_optimizer(inverter, plan)
    pairs = lesson(0)
    schedule = _make_schedule(optimizer, plan, steps=plan.epochs * -(-len(pairs) // plan.batch_size))
    network, optimizer = fabric.setup(laid_out(inverter), optimizer)
    phi = fabric.setup_module(perceptual) if perceptual is not None and plan.beta > 0 else None
    curves: dict[str, list[float]] = {"training_loss": []}

    def descend(loss: Tensor) -> None:
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        schedule.step()

    # Dropout draws from the global random state and takes no generator: it gets one that nobody else sees.
    with torch.random.fork_rng(), progress_line("train inverter", plan.epochs) as line:
        torch.manual_seed(fork(generator) + fabric.global_rank)
        for epoch in range(plan.epochs):
            pairs = lesson(epoch)
            order = torch.randperm(len(pairs), generator=generator)
            batches = pairs.batches(plan.batch_size, order)
            loss = _train_epoch(network, descend, phi, batches, plan, fabric)
            curves["training_loss"].append(loss)
            values = {"loss": loss}
            if len(validation):
                error = _mean_squared_error(network, validation, fabric)
                curves.setdefault("validation_mse", []).append(error)
                values["validation MSE"] = error
            told(values) if told else line.advance(values=values)
    network.eval()
    return curves


def invert(inverter: nn.Module, features: Tensor, *, device: str, batch_size: int = 256) -> Tensor:
    """Reconstruct an image from each row of features (IGF, Eq. 9), in float32.

    Args:
        inverter: A trained network.
        features: `[n, k]`.
        device: Where it runs.
        batch_size: Rows at a time.

    Returns:
        `[n, channels, height, width]` in [0, 1], on the CPU.
    """
    inverter.to(device).eval()
    with torch.inference_mode():
        return torch.cat([inverter(rows.float().to(device)).cpu() for rows in features.split(batch_size)])


def _train_epoch(
    network: nn.Module,
    descend: Callable[[Tensor], None],
    phi: nn.Module | None,
    batches: Iterator[tuple[Tensor, Tensor]],
    plan: TrainingPlan,
    fabric: "Fabric",
) -> float:
    """One pass over the pairs; the mean loss of its steps."""
    network.train()
    losses = []
    for whole in batches:
        if len(whole[0]) < fabric.world_size:
            continue
        features, images = (part[fabric.global_rank :: fabric.world_size] for part in whole)
        targets = fabric.to_device(images)
        reconstructions = network(fabric.to_device(features))
        loss = F.mse_loss(reconstructions, targets)
        if phi is not None:
            # The order is random, so that the first images estimate the mean of Eq. 8 without bias.
            few = slice(plan.perceptual_batch)
            loss = loss + plan.beta * perceptual_distance(phi, reconstructions[few], targets[few])
        # All processes see the same mean, so that all stop at once.
        losses.append(fabric.all_reduce(loss.detach()))
        _refuse_not_finite(float(losses[-1]), len(losses), plan)
        descend(loss)
    return float(torch.stack(losses).mean())


def _make_optimizer(inverter: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    # Fused goes over the weights once, and not once for each of its terms.
    if plan.schedule == "constant":
        return torch.optim.Adam(inverter.parameters(), lr=plan.learning_rate, fused=True)
    return torch.optim.AdamW(inverter.parameters(), lr=plan.learning_rate, weight_decay=_DECAY, fused=True)


def _make_schedule(
    optimizer: torch.optim.Optimizer, plan: TrainingPlan, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    # Ten steps and fewer have no room to rise and fall.
    if plan.schedule == "constant" or steps * _RISE <= 1:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, total_steps=steps, pct_start=_RISE
    )


def make_fabric(plan: TrainingPlan, *, processes: int = 1) -> "Fabric":
    """Lightning Fabric for a plan.

    Args:
        plan: Device and number format.
        processes: How many share the work, one for each GPU; on a CPU they share it.
    """
    # Imported late: it takes longer than all the rest of the package. It also tells its precision at each start.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    from lightning_fabric import Fabric

    return Fabric(
        accelerator=plan.device,
        devices=processes,
        strategy="ddp_spawn" if processes > 1 else "auto",
        precision=fabric_precision(plan.precision, plan.device),
    )


def _mean_squared_error(network: nn.Module, pairs: Pairs, fabric: "Fabric") -> float:
    network.eval()
    with torch.inference_mode():
        errors = [
            (network(fabric.to_device(features)) - fabric.to_device(images)).square().flatten(1).mean(1)
            for features, images in pairs.batches(256, torch.arange(len(pairs)))
        ]
    return float(torch.cat(errors).mean())


def _refuse_not_finite(loss: float, step: int, plan: TrainingPlan) -> None:
    if not math.isfinite(loss):
        raise DivergenceError(
            f"The inverter's loss is {loss} in step {step} of an epoch: lower attack.learning_rate "
            f"(now {plan.learning_rate})."
        )
