"""Surrogate of all layers before the models' last one, trained on the auditor's queries."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from palimpsest.attacks.learned.image_training import ImagePairs
from palimpsest.attacks.learned.inverter import MapShape
from palimpsest.attacks.learned.precision import Precision
from palimpsest.attacks.learned.training import History, Training, make_fabric, train

_BATCH, _RATE, _RISE = 64, 4e-3, 0.15


class Surrogate(nn.Module):
    """Networks that predict, from images, the inputs of both models' last layers, one network for each model.

    The networks consist of 3 x 3 convolutions with ReLU. Max pooling follows each convolution until the maps have the
    size of the last layer's inputs.

    Args:
        shape: Channels, height, and width of the images.
        maps: Channels, height, and width of the inputs, with the channels of both models.
        widths: Channels of all convolutions except the last, whose channels are those of `maps`; see `usual_widths`.
    """

    def __init__(self, shape: tuple[int, int, int], maps: MapShape, widths: Sequence[int]) -> None:
        """Build both networks with fresh weights."""
        super().__init__()
        self.towers = nn.ModuleList(_tower(shape, (maps[0] // 2, *maps[1:]), widths) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        """Predict the non-negative inputs of both models' last layers, `[n, 2 x width]`, original model first."""
        return torch.cat([tower(images) for tower in self.towers], 1)


@dataclass(frozen=True)
class _InputPairs:
    """Pairs of an image and the inputs of both models' last layers."""

    pairs: ImagePairs
    to_inputs: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def batches(self, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and inputs; see `TrainingPairs.batches`."""
        for features, images in self.pairs.batches(size, order):
            yield images, self.to_inputs(features)


def fit_surrogate(
    surrogate: Surrogate,
    pairs: ImagePairs,
    validation: ImagePairs,
    to_inputs: Callable[[Tensor], Tensor],
    *,
    scale: float,
    epochs: int,
    precision: Precision,
    device: str,
    generator: Generator,
) -> History:
    """Train a surrogate on the auditor's queries.

    Args:
        surrogate: Surrogate, which is trained in place and left in eval mode.
        pairs: Pairs of a query's features and the queried image.
        validation: Pairs held out from training, whose error is recorded in the history. May be empty.
        to_inputs: Function from features `[n, k]` to the inputs of both models' last layers, `[n, 2 x width]`.
        scale: Unit of the inputs in the loss, above 0.
        epochs: Number of passes over the pairs.
        precision: Number format of the convolutions.
        device: "cpu" or "cuda".
        generator: Draws the order of the pairs.

    Returns:
        The history, with one value per epoch: `surrogate_loss` and, if `validation` is not empty,
        `surrogate_validation`. Both are the mean squared error of an input, in units of `scale`.

    Raises:
        DivergenceError: The loss is not finite.
    """

    def loss(outputs: Tensor, inputs: Tensor) -> Tensor:
        return ((outputs.float() - inputs) / scale).square().mean()

    optimizer = torch.optim.Adam(surrogate.parameters(), lr=_RATE)
    steps = max(2, epochs * math.ceil(len(pairs) / _BATCH))
    training = Training(
        description="surrogate",
        epochs=epochs,
        batch_size=_BATCH,
        loss=loss,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=_RISE),
        errors=lambda outputs, inputs: loss(outputs, inputs).view(1),
        remedy="set attack.matching to 0, which needs no surrogate",
        names=("surrogate_loss", "surrogate_validation"),
    )
    return train(
        surrogate,
        lambda _: _InputPairs(pairs, to_inputs),
        _InputPairs(validation, to_inputs),
        training,
        generator=generator,
        fabric=make_fabric(precision, device),
    )


def usual_widths(shape: tuple[int, int, int], maps: MapShape, first: int) -> tuple[int, ...]:
    """Return the channels of all convolutions except the last, doubling from one convolution to the next.

    Args:
        shape: Channels, height, and width of the images.
        maps: Channels, height, and width of the last layer's inputs.
        first: Channels of the first convolution.
    """
    return tuple(first << stage for stage in range(_poolings(shape, maps) - 1))


def _tower(shape: tuple[int, int, int], maps: MapShape, widths: Sequence[int]) -> nn.Sequential:
    """Build the network for one model."""
    channels, halvings = shape[0], _poolings(shape, maps)
    layers: list[nn.Module] = []
    for stage, width in enumerate([*widths, maps[0]]):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        if stage < halvings:
            layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(maps[1:]), nn.Flatten())


def _poolings(shape: tuple[int, int, int], maps: MapShape) -> int:
    """Return the number of poolings that halve the sides of an image to those of the maps."""
    return max(0, round(math.log2(shape[1] / maps[1])))
