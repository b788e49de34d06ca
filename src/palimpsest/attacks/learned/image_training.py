"""Training of inverters, the networks that turn features into images (IGF, section 3.2, iii)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from palimpsest.attacks.learned.perceptual_loss import VggFeatures, perceptual_distance
from palimpsest.attacks.learned.precision import Precision
from palimpsest.attacks.learned.training import (
    History,
    Training,
    TrainingPairs,
    global_seed,
    make_fabric,
    train,
)
from palimpsest.randomness import fork

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Schedule = Literal["constant", "one-cycle"]
"""`constant` keeps the learning rate; `one-cycle` raises it, then lowers it (Smith and Topin 2018)."""
# AdamW's usual weight decay, and the share of the steps in which the learning rate rises.
_DECAY, _RISE = 1e-2, 0.1


@dataclass(frozen=True)
class ImagePairs:
    """Pairs of a query's features and the queried image.

    Args:
        features: Features of the queries, `[m, k]`, float16 or float32.
        images_uint8: Queried images as 8-bit integers, `[m, channels, height, width]`.
        rows: Indices of the queries in this set, `[n]` int64.
    """

    features: Tensor
    images_uint8: Tensor
    rows: Tensor

    def __len__(self) -> int:
        """Return the number n of pairs in this set."""
        return len(self.rows)

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features `[b, k]` and images `[b, channels, height, width]` in [0, 1]; see `TrainingPairs.batches`."""
        for rows in self.rows[order].split(size):
            yield self.features[rows].float(), self.images_uint8[rows].float() / 255


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Settings for the training of an image inverter.

    Args:
        epochs: Number of passes over the pairs.
        batch_size: Pairs in a step.
        learning_rate: Adam's learning rate, or the peak of the one-cycle schedule.
        schedule: "constant" with Adam, or "one-cycle" with AdamW.
        beta: Weight of the perceptual distance (Eq. 6).
        perceptual_batch: Images of each step on which the perceptual distance is measured. None means all images.
        precision: Number format of matrix products and convolutions; "auto" is bfloat16 if the hardware supports it.
        device: "cpu" or "cuda".
        patience: See `Training`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule
    beta: float
    perceptual_batch: int | None
    precision: Precision
    device: str
    patience: int | None = None


def train_inverter(
    inverter: nn.Module,
    training_pairs: Callable[[int], TrainingPairs],
    validation: TrainingPairs,
    perceptual: VggFeatures | None,
    plan: TrainingPlan,
    *,
    generator: Generator,
    fabric: "Fabric | None" = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> History:
    """Train an inverter in place by minimizing MSE + beta x perceptual distance (IGF, Eqs. 6 to 8).

    Args:
        inverter: Network from features to images. It is left in eval mode.
        training_pairs: Returns the pairs of an epoch, counted from 0; their number is the same in each epoch.
        validation: Pairs held out from training; see `train`. May be empty.
        perceptual: VGG's features, or None if beta is 0.
        plan: Settings of the training.
        generator: Draws the order of the pairs and seeds dropout.
        fabric: Handle of one of several processes that share each step. If omitted, this process trains alone.
        on_epoch: Callback that receives the values of each epoch. If omitted, the progress line shows them.

    Returns:
        The history, with one value per trained epoch: `training_loss` and, if `validation` is not empty,
        `validation_mse`.

    Raises:
        DivergenceError: The loss is not finite.
    """
    fabric = fabric or make_fabric(plan.precision, plan.device)
    phi = fabric.setup_module(perceptual) if perceptual is not None and plan.beta > 0 else None
    optimizer = _make_optimizer(inverter, plan)
    steps = plan.epochs * -(-len(training_pairs(0)) // plan.batch_size)
    training = Training(
        description="inverter",
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        loss=partial(_loss, phi, plan),
        optimizer=optimizer,
        schedule=_make_schedule(optimizer, plan, steps=steps),
        errors=lambda images, targets: (images - targets).square().flatten(1).mean(1),
        remedy=f"lower attack.learning_rate (now {plan.learning_rate})",
        names=("training_loss", "validation_mse"),
        patience=plan.patience,
    )
    with global_seed(fork(generator) + fabric.global_rank):
        return train(
            inverter,
            training_pairs,
            validation,
            training,
            generator=generator,
            fabric=fabric,
            on_epoch=on_epoch,
        )


def invert(inverter: nn.Module, features: Tensor, *, device: str, batch_size: int = 256) -> Tensor:
    """Reconstruct an image from each row of features (IGF, Eq. 9), in float32.

    Args:
        inverter: A trained inverter.
        features: Standardized features, `[n, k]`.
        device: "cpu" or "cuda".
        batch_size: Rows in a batch.

    Returns:
        Images, `[n, channels, height, width]` in [0, 1], on the CPU.
    """
    inverter.to(device).eval()
    with torch.inference_mode():
        return torch.cat([inverter(rows.float().to(device)).cpu() for rows in features.split(batch_size)])


def _loss(phi: nn.Module | None, plan: TrainingPlan, images: Tensor, targets: Tensor) -> Tensor:
    """Compute the MSE, plus beta times the perceptual distance if phi is given (IGF, Eq. 6)."""
    error = F.mse_loss(images, targets)
    if phi is None:
        return error
    # The order of the pairs is random, so the first images give an unbiased estimate of the mean in Eq. 8.
    part = slice(plan.perceptual_batch)
    return error + plan.beta * perceptual_distance(phi, images[part], targets[part])


def _make_optimizer(inverter: nn.Module, plan: TrainingPlan) -> Optimizer:
    # A fused step reads the weights once, instead of once for each term of Adam's update.
    if plan.schedule == "constant":
        return Adam(inverter.parameters(), lr=plan.learning_rate, fused=True)
    return AdamW(inverter.parameters(), lr=plan.learning_rate, weight_decay=_DECAY, fused=True)


def _make_schedule(optimizer: Optimizer, plan: TrainingPlan, *, steps: int) -> LRScheduler:
    # Ten steps or fewer are too few for the learning rate to rise and fall.
    if plan.schedule == "constant" or steps * _RISE <= 1:
        return LambdaLR(optimizer, lambda _: 1.0)
    return OneCycleLR(optimizer, plan.learning_rate, total_steps=steps, pct_start=_RISE)
