"""DP-SGD: per-sample clipping, Gaussian noise and Poisson sampling at a client (Abadi et al. 2016, Algorithm 1)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, PositiveFloat
from torch import Generator, Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients import gradient_chunks, parameter_count, trainable_parameters
from palimpsest.models import laid_out_for
from palimpsest.randomness import make_generator


class DPSGD(BaseModel):
    """Settings of DP-SGD, as plain data that can be sent to another machine.

    Args:
        clip: Largest norm of a sample's gradient.
        noise_multiplier: Standard deviation of the noise on the sum of the clipped gradients, in units of `clip`.
        stream: Name of the noise. Training and unlearning have different names, because two models that were trained
            with the same noise would reveal the gradients that they do not share.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: PositiveFloat
    noise_multiplier: PositiveFloat
    stream: str = "train"


@dataclass(frozen=True)
class Release:
    """Steps of DP-SGD at one client, for the accounting.

    Args:
        client: Index of the client.
        rate: Probability with which a step samples each of the client's samples, in (0, 1].
        steps: Number of steps.
        noise_multiplier: Standard deviation of the noise in units of the clip norm.
    """

    client: int
    rate: float
    steps: int
    noise_multiplier: float


def private_gradient(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    dp: DPSGD,
    *,
    expected: float,
    generator: Generator,
) -> Tensor:
    """Compute the noisy mean of clipped per-sample gradients of the cross-entropy, in eval mode.

    Args:
        model: The model.
        images: The sampled images, `[n, channels, height, width]`; n may be 0.
        labels: Their classes, `[n]`.
        dp: Clip norm and noise multiplier.
        expected: Expected number of samples, by which the noisy sum is divided. The drawn number is not public.
        generator: Source of the noise, on the CPU.

    Returns:
        `[d]`, flattened in `named_parameters()` order, with noise of standard deviation
        `noise_multiplier * clip / expected` in each coordinate.

    Raises:
        ModelError: A layer has no per-sample gradient.

    Source:
        Abadi et al. 2016, Algorithm 1.
    """
    parameter = next(iter(trainable_parameters(model).values()))
    noise = torch.randn(parameter_count(model), generator=generator, dtype=parameter.dtype)
    total = (dp.noise_multiplier * dp.clip * noise).to(parameter.device)
    for gradients in gradient_chunks(model, images, labels):
        norms = torch.linalg.vector_norm(gradients, dim=1)
        # A gradient of zero has nothing to clip; its factor is 1.
        total += (dp.clip / norms.clamp(min=dp.clip)) @ gradients
    return total / expected


def private_gradients(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    rows: Tensor,
    dp: DPSGD,
    *,
    rate: float,
    steps: int,
    seed: int,
) -> Iterator[float]:
    """Set the parameters' gradients to those of DP-SGD for each step; the caller updates the parameters between steps.

    Args:
        model: The model.
        images: Images that the rows index, `[N, channels, height, width]`.
        labels: Their classes, `[N]`.
        rows: The client's rows, `[n]` int64, n at least 1.
        dp: Clip norm, noise multiplier, and the name of the noise.
        rate: Probability with which a step samples each row.
        steps: Number of steps.
        seed: Seed of the client in the round.

    Yields:
        The mean loss over the sampled rows, 0 without any. It is a record of the simulation and is not private.

    Source:
        Abadi et al. 2016, Algorithm 1.
    """
    generator = make_generator(seed, "dp", dp.stream)
    parameters = list(trainable_parameters(model).values())
    for _ in range(steps):
        drawn = poisson_sample(rows, rate, generator)
        batch, targets = laid_out_for(model, images[drawn]), labels[drawn]
        gradient = private_gradient(model, batch, targets, dp, expected=rate * len(rows), generator=generator)
        parts = gradient.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        with torch.no_grad():
            yield F.cross_entropy(model(batch), targets).item() if len(drawn) else 0.0


def poisson_sample(rows: Tensor, rate: float, generator: Generator) -> Tensor:
    """Draw each row independently with the same probability.

    Args:
        rows: Row numbers, `[n]` int64.
        rate: Probability of each row, in (0, 1].
        generator: Source of the draws, on the CPU.

    Returns:
        The drawn rows, in the order of `rows`; possibly none.
    """
    return rows[(torch.rand(len(rows), generator=generator) < rate).to(rows.device)]


def sampling(samples: int, batch_size: int) -> tuple[float, int]:
    """Return the sampling rate and the number of steps of one epoch.

    Args:
        samples: Number of a client's samples, at least 1.
        batch_size: Expected number of samples in a step, if there are that many.

    Returns:
        Rate in (0, 1], and steps, at least 1.
    """
    return min(1.0, batch_size / samples), math.ceil(samples / batch_size)


def check_private(model: nn.Module) -> None:
    """Refuse a model that DP-SGD can't train.

    Args:
        model: The model.

    Raises:
        ModelError: The model has batch normalization, which mixes samples, or dropout, which per-sample gradients in
            eval mode would ignore.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ModelError(
                f"DP-SGD needs the gradient of each sample alone, but {name!r} is {type(module).__name__}, which mixes "
                "the samples of a batch. Choose a model without batch normalization, such as convnet or lenet."
            )
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            raise ModelError(
                f"DP-SGD computes per-sample gradients in evaluation mode, where the dropout layer {name!r} has no "
                "effect. Set model.dropout to 0, or leave federation.dp_noise_multiplier out."
            )
