"""Networks of the attacker's own that answer as the models' layers below their last one do, learned from queries."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from palimpsest.attacks.learned.inverter import Maps
from palimpsest.attacks.learned.precision import Precision, laid_out, products
from palimpsest.attacks.learned.training import Pairs
from palimpsest.progress import progress_line

_BATCH, _RATE, _RISE = 64, 4e-3, 0.15
_EVALUATED = 256


class Surrogate(nn.Module):
    """From images to what both models' last layers see: a small convolutional network for each.

    Its layers are the usual ones: 3 x 3 convolutions with ReLU, each followed by max pooling until the maps have the
    size that the last layer's inputs were found to have.

    Args:
        shape: Channels, height and width of the images.
        maps: Channels, height and width of both models' inputs together.
        widths: Channels of the convolutions but the last, which has as many as the maps; see `usual_widths`.
    """

    def __init__(self, shape: tuple[int, int, int], maps: Maps, widths: Sequence[int]) -> None:
        super().__init__()
        self.towers = nn.ModuleList(_tower(shape, (maps[0] // 2, *maps[1:]), widths) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        """The inputs of the original's and the unlearned model's last layer, `[n, 2 x width]`, none negative."""
        return torch.cat([tower(images) for tower in self.towers], 1)


def fit_surrogate(
    surrogate: Surrogate,
    pairs: Pairs,
    validation: Pairs,
    read: Callable[[Tensor], Tensor],
    *,
    scale: float,
    epochs: int,
    precision: Precision,
    device: str,
    generator: Generator,
) -> dict[str, list[float]]:
    """Train a surrogate by the attacker's own queries.

    Args:
        surrogate: It is trained in place, and ends in eval mode.
        pairs: Features and the images that they are of.
        validation: Pairs kept aside; they choose nothing.
        read: From features to the inputs of both models' last layer.
        scale: What inputs are divided by.
        epochs: Passes over the pairs.
        precision: Number format of the products.
        device: Where.
        generator: Order of the pairs.

    Returns:
        The curves `surrogate_loss` and, where pairs were kept aside, `surrogate_validation`: the mean squared error of
        an input over the scale.
    """
    laid_out(surrogate).to(device).train()
    optimizer = torch.optim.Adam(surrogate.parameters(), lr=_RATE)
    steps = max(2, epochs * math.ceil(len(pairs) / _BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=_RISE)
    curves: dict[str, list[float]] = {"surrogate_loss": []}

    def error(features: Tensor, images: Tensor) -> Tensor:
        with products(precision, device):
            found = surrogate(images.to(device))
        return ((found.float() - read(features).to(device)) / scale).square().mean()

    with progress_line("train surrogate", epochs) as line:
        for _ in range(epochs):
            losses = []
            for features, images in pairs.batches(_BATCH, torch.randperm(len(pairs), generator=generator)):
                loss = error(features, images)
                losses.append(loss.detach())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            curves["surrogate_loss"].append(float(torch.stack(losses).mean()))
            with torch.inference_mode():
                kept = [
                    error(*both) for both in validation.batches(_EVALUATED, torch.arange(len(validation)))
                ]
            if kept:
                curves.setdefault("surrogate_validation", []).append(float(torch.stack(kept).mean()))
            line.advance(values={name: values[-1] for name, values in curves.items()})
    surrogate.eval()
    return curves


def usual_widths(shape: tuple[int, int, int], maps: Maps, first: int) -> tuple[int, ...]:
    """The first convolution's channels, and twice as many in each further one."""
    return tuple(first << stage for stage in range(_poolings(shape, maps) - 1))


def _tower(shape: tuple[int, int, int], maps: Maps, widths: Sequence[int]) -> nn.Sequential:
    channels, halvings = shape[0], _poolings(shape, maps)
    layers: list[nn.Module] = []
    for stage, wide in enumerate([*widths, maps[0]]):
        layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
        if stage < halvings:
            layers.append(nn.MaxPool2d(2))
        channels = wide
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(maps[1:]), nn.Flatten())


def _poolings(shape: tuple[int, int, int], maps: Maps) -> int:
    """How often an image's sides are halved until they are the maps'."""
    return max(0, round(math.log2(shape[1] / maps[1])))
