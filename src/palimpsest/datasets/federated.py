"""Which images the clients train on, which are held out, and which an attacker holds."""

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from palimpsest.config import DataConfig
from palimpsest.datasets.catalog import find_source
from palimpsest.datasets.hub import PUBLISHED
from palimpsest.datasets.images import ImageSet, in_channels
from palimpsest.datasets.partitions import check_partition
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator
from palimpsest.storage import tensor_hash

HELD_OUT = 1000
_RESERVED = 0.1


@dataclass(frozen=True, eq=False)
class FederatedData:
    """The images of one audit, by who holds them.

    Attributes:
        train: What the clients hold together.
        clients: Rows of `train`, int64, one tensor for each client: disjoint, none empty, together all rows.
        test: The test split, for accuracy; `auxiliary` (in distribution) and `held_out` are parts of it.
        auxiliary: The attacker's own images, of the shape and the classes of `train`.
        held_out: Never trained on and not the attacker's: for calibration and membership inference.
        public: Images that anybody could have, as priors: the set's public split, whose labels mean nothing,
            or else the auxiliary images, which give the attacker nothing new.
        notes: What differs from what was asked for or published, in sentences for the report.
        class_names: The classes' names, in the order of their numbers; empty where they are not known.
    """

    train: ImageSet
    clients: tuple[Tensor, ...]
    test: ImageSet
    auxiliary: ImageSet
    held_out: ImageSet
    public: ImageSet
    notes: tuple[str, ...]
    class_names: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all images, labels and who holds them, in hexadecimal."""
        sets = (self.train, self.test, self.auxiliary, self.held_out, self.public)
        sizes = torch.tensor([len(rows) for rows in self.clients])
        parts = [*(images.fingerprint for images in sets), tensor_hash(sizes, *self.clients)]
        return sha256("\n".join(parts).encode()).hexdigest()


def load_data(config: DataConfig, *, clients: int, seed: int, data_dir: Path | None = None) -> FederatedData:
    """Load a federation's images and divide them.

    The same configuration, seed and files give the same data.

    Args:
        config: Which images, and how they are dealt.
        clients: How many clients hold the training images.
        seed: The run's seed: it draws the training images, deals them, and draws the attacker's.
        data_dir: A mirror of the published sets; what it has is never fetched from the network.

    Raises:
        DatasetError: A set is unknown, missing, unreadable or too small, its images have several sizes, or
            the training images can't be dealt so.
    """
    source = find_source(config.name, data_dir=data_dir)
    size = None if config.image_size is None else (config.image_size, config.image_size)
    train, notes = _training_images(source, config, size, seed)
    test = source.read("test", size=size)
    if test.shape[1:] != train.shape[1:]:
        raise DatasetError(
            f"{config.name} has training images of {list(train.shape[1:])} pixels and test images of "
            f"{list(test.shape[1:])}: scale all to one size with image_size."
        )
    channels = max(train.shape[0], test.shape[0])
    train, test = in_channels(train, channels), in_channels(test, channels)
    notes += _size_notes(config.name, source)

    other = None if config.auxiliary is None else find_source(config.auxiliary, data_dir=data_dir)
    generator = make_generator(seed, "datasets", "auxiliary")
    order = torch.randperm(len(test), generator=generator)
    if other is None or other == source:
        auxiliary, held_out, more = _from_test_split(test, order, config.auxiliary_size)
    else:
        held_out = test.subset(order[:HELD_OUT])
        auxiliary, more = _from_another_set(other, train, config.auxiliary_size, generator)
    public = auxiliary
    if "public" in source.splits:
        public = in_channels(source.read("public", size=train.shape[1:]), channels)

    deal: Any = config.build_partition()
    dealt = deal(train.labels, clients, generator=make_generator(seed, "datasets", "partition"))
    check_partition(dealt, clients, rows=len(train))
    return FederatedData(
        train, dealt, test, auxiliary, held_out, public, tuple(notes + more), source.class_names
    )


def _training_images(
    source: Source, config: DataConfig, size: tuple[int, int] | None, seed: int
) -> tuple[ImageSet, list[str]]:
    count = source.count("train")
    if config.train_size is None or config.train_size == count:
        return source.read("train", size=size), []
    if config.train_size > count:
        note = (
            f"All {count:,} training images of {config.name} are taken; {config.train_size:,} were asked for."
        )
        return source.read("train", size=size), [note]
    drawn = _draw(count, config.train_size, make_generator(seed, "datasets", "train"))
    return source.read("train", rows=drawn, size=size), []


def _size_notes(name: str, source: Source) -> list[str]:
    published = PUBLISHED[name].sizes if name in PUBLISHED else {}
    kinds = {"train": "training", "test": "test"}
    here = {split: source.count(split) for split in published}
    return [
        f"{name} has {here[split]:,} {kinds[split]} images here, not {published[split]:,}."
        for split in published
        if here[split] != published[split]
    ]


def _from_test_split(test: ImageSet, order: Tensor, wanted: int) -> tuple[ImageSet, ImageSet, list[str]]:
    """Auxiliary images and held-out images; at least a tenth of the split is held out."""
    if len(test) < 2:
        raise DatasetError(f"{test.name} has {len(test)} test images: give at least two (one is held out).")
    reserved = math.ceil(_RESERVED * len(test))
    taken = min(wanted, len(test) - reserved)
    notes = []
    if taken < wanted:
        notes.append(
            f"The auxiliary set has {taken:,} images, not the {wanted:,} asked for: "
            f"{test.name} has {len(test):,} test images, of which {reserved:,} are held out."
        )
    return test.subset(order[:taken]), test.subset(order[taken : taken + HELD_OUT]), notes


def _from_another_set(
    source: Source, train: ImageSet, wanted: int, generator: torch.Generator
) -> tuple[ImageSet, list[str]]:
    """Images of another set, its test split first, in the training images' shape."""
    channels, height, width = train.shape
    images, labels, short, name, classes = [], [], wanted, "", 0
    for split in ("test", "train"):
        available = source.count(split)
        if short and available:
            drawn = _draw(available, min(short, available), generator)
            part = in_channels(source.read(split, rows=drawn, size=(height, width)), channels)
            images.append(part.images)
            labels.append(part.labels % train.classes)
            short, name, classes = short - len(part), part.name, part.classes
    auxiliary = ImageSet(name, torch.cat(images), torch.cat(labels), train.classes)
    notes = [
        f"The auxiliary images come from {name}, brought to {channels} x {height} x {width}: "
        f"another distribution than {train.name}."
    ]
    if classes > train.classes:
        notes.append(
            f"The {classes} classes of {name} are folded to {train.classes}: label modulo {train.classes}."
        )
    shared = _shared(auxiliary.images, train.images)
    if shared:
        notes.append(
            f"{shared:,} of the auxiliary images are also training images: the attack's scores flatter it."
        )
    if short:
        notes.append(
            f"The auxiliary set has {len(auxiliary):,} images, all of {name}; {wanted:,} were asked for."
        )
    return auxiliary, notes


def _shared(some: Tensor, others: Tensor) -> int:
    """How many images are, bit for bit, among the others."""
    known = {_digest(image) for image in others}
    return sum(_digest(image) in known for image in some)


def _digest(image: Tensor) -> bytes:
    return blake2b(image.numpy().tobytes(), digest_size=16).digest()


def _draw(available: int, count: int, generator: torch.Generator) -> Tensor:
    """So many rows at random, ascending."""
    return torch.randperm(available, generator=generator)[:count].sort().values
