"""The images of a case, with the classes of one model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from palimpsest.datasets import ImageFolder, ImageSet, find_source
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator


@dataclass(frozen=True)
class Brought:
    """Images, and what their classes are called.

    Args:
        images: Labelled images.
        names: Names of the classes, where folders tell them.
    """

    images: ImageSet
    names: tuple[str, ...] = ()


def load_brought(
    name: str,
    *,
    split: str | None = None,
    image_size: int | None = None,
    names: Sequence[str] = (),
    data_dir: Path | None = None,
) -> Brought:
    """Load a set of images as it was brought.

    Args:
        name: As for `find_source`.
        split: Only this split; none takes all, in the source's own order.
        image_size: Scale every image to so many pixels a side.
        names: The classes of a folder, where they are known already.
        data_dir: A mirror of the published sets.

    Raises:
        DatasetError: There is no such set or split, or its images can't be used.
    """
    source = find_source(name, data_dir=data_dir)
    if isinstance(source, ImageFolder):
        source = replace(source, names=tuple(names))
    size = None if image_size is None else (image_size, image_size)
    if split is None:
        images = source.read_all(size=size)
    elif split in source.splits:
        images = source.read(split, size=size)
    else:
        raise DatasetError(f"{name} has no {split!r} split: it has {', '.join(source.splits)}.")
    return Brought(images, source.class_names if isinstance(source, ImageFolder) else ())


def draw(images: ImageSet, limit: int | None, *, seed: int) -> ImageSet:
    """At most so many of the images, drawn at random, in their order.

    Args:
        images: Labelled images.
        limit: How many; none for all.
        seed: The run's.
    """
    if limit is None or limit >= len(images):
        return images
    order = torch.randperm(len(images), generator=make_generator(seed, "case", "auxiliary"))
    return images.subset(order[:limit].sort().values)


def in_classes(images: ImageSet, classes: int) -> ImageSet:
    """The same images, labelled for a model.

    Args:
        images: Labelled images.
        classes: How many the model has.

    Raises:
        DatasetError: A label is not one of the model's classes.
    """
    highest = int(images.labels.max())
    if highest >= classes:
        raise DatasetError(
            f"{images.name} has labels up to {highest}, and the model has {classes} classes: number the classes as the "
            "model does."
        )
    return replace(images, classes=classes)
