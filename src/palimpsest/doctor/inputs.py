"""Checks of the auxiliary samples: range, classes, and whether the original model recognizes them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.doctor.finding import Finding, ok, warning
from palimpsest.metrics import binomial_interval
from palimpsest.models import renormalized

_MOST_TESTED = 512
# A gain in accuracy by more than this is not an accident.
_CLEAR_GAIN = 0.15
# A model with at least this accuracy recognizes its images, even if all of them belong to one class.
_CERTAIN = 0.95


@dataclass(frozen=True)
class InputScaling:
    """A scaling of images that networks are commonly trained with.

    Args:
        name: Its name in messages.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, for pixels in [0, 1].
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


COMMON_SCALINGS = (
    InputScaling("images in [0, 1]", (0.0,), (1.0,)),
    InputScaling("images in [0, 255]", (0.0,), (1 / 255,)),
    InputScaling("images in [-1, 1]", (0.5,), (0.5,)),
    InputScaling("ImageNet's normalization", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    InputScaling("CIFAR-10's normalization", (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    InputScaling("MNIST's normalization", (0.1307,), (0.3081,)),
)


def channel_scaling(images: ImageSet) -> InputScaling:
    """Return the normalization of each channel by its mean and standard deviation over a set of images.

    Args:
        images: Images like those that the network was trained on.
    """
    channels = images.images.movedim(1, 0).flatten(1)
    mean, std = channels.mean(1), channels.std(1).clamp_min(1e-3)
    return InputScaling(
        "the images' own mean and standard deviation", tuple(mean.tolist()), tuple(std.tolist())
    )


def check_range(samples: SampleSet) -> Iterator[Finding]:
    """Report the samples' kind and range, and classes without samples.

    Args:
        samples: The auxiliary samples, with the model's number of classes.
    """
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
            f"Only {present} of the model's {samples.classes} classes have auxiliary samples. The attack learns "
            "nothing about the others.",
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
            "images", "The images are almost black. Pixels of 0 to 255 may have been divided by 255 twice."
        )


@torch.no_grad()
def check_accuracy(model: nn.Module, images: SampleSet, device: str) -> Iterator[Finding]:
    """Check whether the original model recognizes the samples, or would with another scaling or numbering of classes.

    Args:
        model: The original model, with its normalization.
        images: The labeled auxiliary samples.
        device: The model's device.
    """
    rows = torch.linspace(0, len(images) - 1, min(_MOST_TESTED, len(images))).round().long()
    pixels, labels = images.inputs[rows].to(device), images.labels[rows]
    predictions = _predict(model, pixels)
    accuracy = _accuracy(predictions, labels)
    most_frequent = float(labels.bincount().max()) / len(labels)
    low, high = binomial_interval(round(accuracy * len(labels)), len(labels))
    result = (
        f"The original model classifies {accuracy:.1%} of {len(labels)} auxiliary {images.kind} correctly (95 % "
        f"interval {low:.1%} to {high:.1%}). The most frequent class makes up {most_frequent:.1%}."
    )
    scaling, best = _best_scaling(model, images, pixels, labels)
    if best > accuracy + _CLEAR_GAIN:
        yield warning(
            "normalization",
            f"{result} With {scaling.name} it would be {best:.1%}: set --mean {_spelled(scaling.mean)} --std "
            f"{_spelled(scaling.std)}.",
        )
        return
    renumbered = _best_numbering(predictions, labels, images.classes)
    if renumbered > accuracy + _CLEAR_GAIN:
        yield warning(
            "classes",
            f"{result} With another numbering of the classes it would be {renumbered:.1%}. Set --class-names to "
            "the names in the model's order, or correct the labels.",
        )
    elif accuracy <= min(most_frequent + 0.02, _CERTAIN):
        yield warning(
            "normalization",
            f"{result} That is no better than always predicting this class. Check that the model was trained on "
            "samples of this kind, and check their channels and normalization (--mean and --std).",
        )
    else:
        yield ok("normalization", result)


def _predict(model: nn.Module, pixels: Tensor) -> Tensor:
    return torch.cat([model(part).argmax(dim=1).cpu() for part in pixels.split(64)])


def _accuracy(predictions: Tensor, labels: Tensor) -> float:
    return float((predictions == labels).double().mean())


def _best_scaling(
    model: nn.Module, samples: SampleSet, pixels: Tensor, labels: Tensor
) -> tuple[InputScaling, float]:
    """Return the scaling with which the model is most accurate, and this accuracy: 0 if the samples are no images."""
    if not isinstance(samples, ImageSet):
        return COMMON_SCALINGS[0], 0.0

    def accuracy(scaling: InputScaling) -> float:
        scaled = renormalized(model, scaling.mean, scaling.std).eval().to(pixels.device)
        return _accuracy(_predict(scaled, pixels), labels)

    scalings = (*COMMON_SCALINGS, channel_scaling(samples))
    accuracies = [
        (scaling, accuracy(scaling)) for scaling in scalings if len(scaling.mean) in (1, samples.shape[0])
    ]
    return max(accuracies, key=lambda pair: pair[1])


def _best_numbering(predictions: Tensor, labels: Tensor, classes: int) -> float:
    """Return the highest accuracy that a permutation of the classes reaches."""
    from scipy.optimize import linear_sum_assignment

    table = torch.zeros(classes, classes)
    table.index_put_((labels, predictions), torch.ones(len(labels)), accumulate=True)
    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return float(table[rows, columns].sum()) / len(labels)


def _spelled(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
