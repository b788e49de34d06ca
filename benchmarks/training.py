"""Benchmark of the inverter's training against the machine's rate of matrix products."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rates import share
from benchmarks.timing import Clock, Line
from palimpsest.attacks.learned.image_training import ImagePairs, TrainingPlan, train_inverter
from palimpsest.attacks.learned.inverter import PixelShuffleInverter

FEATURES, BATCH = 1025, 256


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure training steps of the network of a cell of IGF's Table 1 on CIFAR-10.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    batch, steps = (8, 1) if quick else (BATCH, 4)
    count = batch * steps
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(count, FEATURES, generator=generator).half()
    images_uint8 = torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    pairs = ImagePairs(features, images_uint8, torch.arange(count))
    inverter = build(quick=quick)
    operations = count_operations(inverter, *next(pairs.batches(batch, torch.arange(batch)))) * steps
    seconds = clock.race({"ours": partial(train, inverter, pairs, batch)})["ours"]
    return [share(f"inverter's training, {steps} steps of {batch}", operations, seconds, clock, quick=quick)]


def build(*, quick: bool) -> PixelShuffleInverter:
    """Build the network of the preset, or a small one if `quick`."""
    width, blocks = (16, 0) if quick else (192, 2)
    return PixelShuffleInverter(FEATURES, (3, 32, 32), width=width, dropout=0.15, blocks=blocks)


def train(inverter: PixelShuffleInverter, pairs: ImagePairs, batch: int) -> None:
    """Train for one epoch as the attack does, without the perceptual distance, which needs VGG's weights."""
    plan = TrainingPlan(
        epochs=1,
        batch_size=batch,
        learning_rate=1e-3,
        schedule="one-cycle",
        beta=0,
        perceptual_batch=None,
        precision="float32",
        device="cpu",
    )
    no_validation = ImagePairs(pairs.features, pairs.images_uint8, pairs.rows[:0])
    train_inverter(
        inverter, lambda _: pairs, no_validation, None, plan, generator=torch.Generator().manual_seed(0)
    )


def count_operations(inverter: PixelShuffleInverter, features: Tensor, images: Tensor) -> int:
    """Count the multiplications and additions of the products and convolutions of one step."""
    with FlopCounterMode(display=False) as counter:
        F.mse_loss(inverter.train()(features), images).backward()
    inverter.zero_grad()
    return counter.get_total_flops()
