"""Choice of an audit's auxiliary, public and held-out images, none of which a client has."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.datasets.copies import find_copies
from palimpsest.datasets.images import ImageSet, convert_channels
from palimpsest.datasets.overlap import Overlap
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError

MOST_HELD_OUT = 1000
"""Largest number of held-out images."""
_RESERVED = 0.1


@dataclass(frozen=True)
class Outsiders:
    """Images that no client has.

    Args:
        auxiliary: The attacker's images.
        held_out: Images that neither the clients nor the attacker have.
        public: Publicly available images that serve as a prior: the auxiliary images, unless the set has others.
        overlap: Copies of the clients' images that were found among the candidates.
        notes: Differences from the configuration, in sentences for the report.
    """

    auxiliary: ImageSet
    held_out: ImageSet
    public: ImageSet
    overlap: Overlap
    notes: list[str]


def choose_outsiders(
    test: ImageSet,
    train: ImageSet,
    other: Source | None,
    *,
    wanted: int,
    remove: bool,
    generator: torch.Generator,
) -> Outsiders:
    """Choose the auxiliary and the held-out images.

    Args:
        test: The test split, which holds the held-out images.
        train: The training images of all clients.
        other: The source of the auxiliary images; None means the test split.
        wanted: Number of auxiliary images.
        remove: Whether copies of the clients' images, and repeated images, are left out before the choice.
        generator: Source of the choice.

    Returns:
        The images, and what was found.

    Raises:
        DatasetError: Too few images are left.
    """
    candidates = test.subset(torch.randperm(len(test), generator=generator))
    copies = find_copies(candidates, train)
    usable = candidates.subset(copies.unique) if remove else candidates
    if other is None:
        auxiliary, held_out, notes = _from_test_split(usable, wanted, copied=len(candidates) - len(usable))
        overlap = Overlap.of(copies, compared=len(train), removed=remove, held=len(auxiliary))
        return Outsiders(auxiliary, held_out, auxiliary, overlap, notes)
    held_out = usable.subset(torch.arange(min(MOST_HELD_OUT, len(usable))))
    drawn, notes = _from_another_set(other, train, wanted, generator)
    auxiliary, found = filter_copies(drawn, train, remove=remove, kind="auxiliary")
    if len(auxiliary) < wanted:
        notes.append(
            f"The auxiliary set has {len(auxiliary):,} images of {drawn.name} instead of the requested {wanted:,}."
        )
    overlap = Overlap.of(copies, compared=len(train), removed=remove, held=0) + found
    return Outsiders(auxiliary, held_out, auxiliary, overlap, notes)


def filter_copies(images: ImageSet, train: ImageSet, *, remove: bool, kind: str) -> tuple[ImageSet, Overlap]:
    """Leave out copies of the clients' images and repeated images, or only count them.

    Args:
        images: Images of the attacker.
        train: The training images of all clients.
        remove: Whether copies are left out.
        kind: What the images are, in the error message: "auxiliary" or "public".

    Returns:
        The images to use, and what was found.

    Raises:
        DatasetError: All images are copies and are left out.
    """
    copies = find_copies(images, train)
    usable = images.subset(copies.unique) if remove else images
    if not len(usable):
        raise DatasetError(
            f"All {len(images):,} {kind} images of {images.name} are copies of the clients' training images. Use other "
            "images, or set data.auxiliary_overlap to keep to use the copies."
        )
    return usable, Overlap.of(copies, compared=len(train), removed=remove)


def draw(available: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw this number of rows at random, in ascending order."""
    return torch.randperm(available, generator=generator)[:count].sort().values


def _from_test_split(usable: ImageSet, wanted: int, *, copied: int) -> tuple[ImageSet, ImageSet, list[str]]:
    """Return auxiliary images, held-out images and notes; at least a tenth of the usable images is held out."""
    if len(usable) < 2:
        removed = (
            f" besides {copied:,} copies of the clients' training images or of each other" if copied else ""
        )
        advice = " Add others, or set data.auxiliary_overlap to keep to use the copies." if copied else ""
        raise DatasetError(
            f"{usable.name} has {len(usable)} test images{removed}, but at least two are needed, of which one is held "
            f"out.{advice}"
        )
    reserved = math.ceil(_RESERVED * len(usable))
    size = min(wanted, len(usable) - reserved)
    notes = []
    if size < wanted:
        besides = f" besides {copied:,} copies" if copied else ""
        notes.append(
            f"The auxiliary set has {size:,} images instead of the requested {wanted:,}: {usable.name} has "
            f"{len(usable):,} test images{besides}, of which {reserved:,} are held out."
        )
    held_out = torch.arange(size, min(size + MOST_HELD_OUT, len(usable)))
    return usable.subset(torch.arange(size)), usable.subset(held_out), notes


def _from_another_set(
    source: Source, train: ImageSet, wanted: int, generator: torch.Generator
) -> tuple[ImageSet, list[str]]:
    """Return images of another set in the training images' shape, its test split first, and notes."""
    channels, height, width = train.shape
    images, labels, missing, name, classes = [], [], wanted, "", 0
    for split in ("test", "train"):
        available = source.count(split)
        if missing and available:
            drawn = draw(available, min(missing, available), generator)
            part = convert_channels(source.read(split, rows=drawn, size=(height, width)), channels)
            images.append(part.images)
            labels.append(part.labels % train.classes)
            missing, name, classes = missing - len(part), part.name, part.classes
    auxiliary = ImageSet(name, torch.cat(images), torch.cat(labels), train.classes)
    notes = [
        f"The auxiliary images come from {name}, converted to {channels} x {height} x {width}. "
        f"Their distribution differs from that of {train.name}."
    ]
    if classes > train.classes:
        notes.append(
            f"The {classes} classes of {name} are mapped to {train.classes}: label modulo {train.classes}."
        )
    return auxiliary, notes
