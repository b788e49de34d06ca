"""Does the model recognize the auditor's images as they come to it?"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.doctor.finding import Finding, ok, warning
from palimpsest.metrics import binomial_interval
from palimpsest.models import Normalized, bare

_TRIED = 512
# A share of images that is no accident, and a choice of input that is clearly better than the one given.
_BETTER = 0.15
# A model that is right so often knows its images, also where they are of one class.
_SURE = 0.95


@dataclass(frozen=True)
class Reading:
    """A way in which images may come to a network.

    Args:
        words: What it is.
        mean: Of each channel, in pixels of [0, 1].
        std: Of each channel.
    """

    words: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


READINGS = (
    Reading("images in [0, 1]", (0.0,), (1.0,)),
    Reading("images in 0 ... 255", (0.0,), (1 / 255,)),
    Reading("images in [-1, 1]", (0.5,), (0.5,)),
    Reading("ImageNet's normalization", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Reading("CIFAR-10's normalization", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    Reading("MNIST's normalization", (0.1307,), (0.3081,)),
)


def own_reading(images: ImageSet) -> Reading:
    """The normalization that many training codes make: of each channel by its own mean and standard deviation.

    Args:
        images: Such as the network was trained on.
    """
    channels = images.images.movedim(1, 0).flatten(1)
    mean, std = channels.mean(1), channels.std(1).clamp_min(1e-3)
    return Reading("their own mean and standard deviation", tuple(mean.tolist()), tuple(std.tolist()))


def check_range(samples: SampleSet) -> Iterator[Finding]:
    """The samples' kind and range, and which classes are there."""
    present = samples.labels.unique().numel()
    if isinstance(samples, ImageSet):
        yield from _check_pixels(samples)
    else:
        low, high = (float(value) for value in samples.inputs.aminmax())
        yield ok(
            "samples",
            f"{len(samples):,} auxiliary {samples.kind}, {samples.shape[0]:,} numbers each, {low:.3g} to {high:.3g}.",
        )
    if present < samples.classes:
        yield warning(
            "classes",
            f"{present} of the model's {samples.classes} classes are among them: the attack never sees the others.",
        )


def _check_pixels(images: ImageSet) -> Iterator[Finding]:
    low, high, mean = (float(value) for value in (*images.images.aminmax(), images.images.mean()))
    yield ok(
        "images",
        f"{len(images):,} auxiliary images of {' x '.join(map(str, images.shape))}, pixels {low:.3g} to {high:.3g}, "
        f"mean {mean:.3g}.",
    )
    if high <= 2 / 255:
        yield warning(
            "images", "They are almost black: pixels of 0 to 255 may have been divided by 255 twice."
        )


@torch.no_grad()
def check_accuracy(model: nn.Module, images: SampleSet, device: str) -> Iterator[Finding]:
    """Whether the original model recognizes the images as they come to it, or would in another form or numbering.

    Args:
        model: The original model, with its normalization.
        images: The auditor's, with labels.
        device: Where the model is.
    """
    rows = torch.linspace(0, len(images) - 1, min(_TRIED, len(images))).round().long()
    pixels, labels = images.inputs[rows].to(device), images.labels[rows]
    guesses = _guesses(model, pixels)
    share = float((guesses == labels).double().mean())
    often = float(labels.bincount().max()) / len(labels)
    low, high = binomial_interval(round(share * len(labels)), len(labels))
    told = (
        f"The original model recognizes {share:.1%} of {len(labels)} auxiliary {images.kind} (95 % interval {low:.1%} "
        f"to {high:.1%}); the commonest class is {often:.1%}."
    )
    network = bare(model)
    best, reading = max(
        (
            (
                float(
                    (_guesses(Normalized(network, one.mean, one.std).to(device), pixels) == labels)
                    .double()
                    .mean()
                ),
                one,
            )
            for one in ((*READINGS, own_reading(images)) if isinstance(images, ImageSet) else ())
            if len(one.mean) in (1, images.shape[0])
        ),
        key=lambda pair: pair[0],
        default=(0.0, READINGS[0]),
    )
    if best > share + _BETTER:
        yield warning(
            "normalization",
            f"{told} With {reading.words} it would be {best:.1%}: set --mean {_spelled(reading.mean)} --std "
            f"{_spelled(reading.std)}.",
        )
        return
    renamed = _best_numbering(guesses, labels, images.classes)
    if renamed > share + _BETTER:
        yield warning(
            "classes",
            f"{told} With the classes numbered in another way it would be {renamed:.1%}: give their names in the "
            "model's order as class_names, or mend the labels.",
        )
    elif share <= min(often + 0.02, _SURE):
        yield warning(
            "normalization",
            f"{told} It knows no more than that: check that these are images of its kind, their channels and their "
            "normalization (mean and std).",
        )
    else:
        yield ok("normalization", told)


def _guesses(model: nn.Module, pixels: Tensor) -> Tensor:
    return torch.cat([model(part).argmax(dim=1).cpu() for part in pixels.split(64)])


def _best_numbering(guesses: Tensor, labels: Tensor, classes: int) -> float:
    """The share that is right if classes were renamed as well as possible."""
    table = torch.zeros(classes, classes)
    table.index_put_((labels, guesses), torch.ones(len(labels)), accumulate=True)
    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return float(table[rows, columns].sum()) / len(labels)


def _spelled(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
