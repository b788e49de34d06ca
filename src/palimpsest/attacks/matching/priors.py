"""Where a search starts that knows public images."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.func import vmap

from palimpsest.attacks.matching.distances import cosine
from palimpsest.attacks.matching.setup import Scene
from palimpsest.storage import Parameters

PriorName = Literal["mean", "nearest", "class", "blurred"]
_WANDER = 0.1


def mean_image(scene: Scene, targets: Tensor, generator: Generator) -> Tensor:
    """The mean public image for every sample."""
    return scene.public.mean(dim=0).expand(*targets.shape[:2], -1, -1, -1)


def class_mean(scene: Scene, targets: Tensor, generator: Generator) -> Tensor:
    """The mean public image of each sample's class, by its probabilities; the overall mean for a class without any."""
    overall = scene.public.mean(dim=0)
    means = [
        scene.public[scene.public_labels == label].mean(dim=0)
        if (scene.public_labels == label).any()
        else overall
        for label in range(scene.classes)
    ]
    return torch.einsum("bnk,kchw->bnchw", targets, torch.stack(means))


def blurred_image(scene: Scene, targets: Tensor, generator: Generator) -> Tensor:
    """A public image for each sample, drawn at random and blurred: what an unrelated, rough likeness is worth."""
    drawn = torch.randint(len(scene.public), targets.shape[:2], generator=generator)
    images = scene.public[drawn.to(scene.public.device)]
    wide = max(1, min(images.shape[-2:]) // 8) * 2 + 1
    flat = torch.nn.functional.avg_pool2d(
        images.flatten(0, 1), wide, stride=1, padding=wide // 2, count_include_pad=False
    )
    return flat.unflatten(0, images.shape[:2])


PRIORS: dict[PriorName, Callable[[Scene, Tensor, Generator], Tensor]] = {
    "mean": mean_image,
    "class": class_mean,
    "blurred": blurred_image,
}


def nearest_images(scene: Scene, parameters: Parameters, wanted: Tensor, targets: Tensor) -> Tensor:
    """For each sample the public image whose gradient, under the sample's label, points most nearly as is wanted.

    Args:
        scene: What the server holds.
        parameters: Where gradients are taken.
        wanted: The samples' mean gradient, `[b, d]`.
        targets: Probabilities of their classes, `[b, n, classes]`.

    Returns:
        `[b, n, channels, height, width]`; samples of one class in a batch get different images.
    """
    chosen = []
    for batch_wanted, batch_targets in zip(wanted, targets, strict=True):
        taken: dict[int, int] = {}
        for target in batch_targets:
            label = int(target.argmax())
            order = _by_direction(scene, parameters, batch_wanted, target).argsort()
            place = taken.get(label, 0) % len(order)
            taken[label] = place + 1
            chosen.append(scene.public[order[place]])
    return torch.stack(chosen).unflatten(0, targets.shape[:2])


def spread(images: Tensor, restarts: int, generator: Generator) -> Tensor:
    """Several starts around one image: itself, and itself with noise of standard deviation 0.1.

    Args:
        images: `[b, n, channels, height, width]`.
        restarts: How many starts of each batch.
        generator: Where the noise comes from.

    Returns:
        `[b * restarts, n, channels, height, width]`.
    """
    noise = _WANDER * torch.randn(len(images), restarts, *images.shape[1:], generator=generator)
    noise[:, 0] = 0
    return (images[:, None] + noise.to(images)).flatten(0, 1)


def _by_direction(scene: Scene, parameters: Parameters, wanted: Tensor, target: Tensor) -> Tensor:
    """One minus the cosine between the wanted gradient and each public image's, `[m]`."""

    def distance(image: Tensor) -> Tensor:
        return cosine(scene.gradient(parameters, image[None], target[None]), wanted)

    return vmap(distance, chunk_size=min(scene.chunk(1), 64))(scene.public)
