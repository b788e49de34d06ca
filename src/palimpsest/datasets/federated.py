"""Division of an audit's images among clients, attacker, held-out set and test set."""

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
from palimpsest.datasets.images import ImageSet, convert_channels
from palimpsest.datasets.partitions import check_partition
from palimpsest.datasets.reading import Decoding
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator
from palimpsest.storage import tensor_hash

HELD_OUT = 1000
_RESERVED = 0.1


@dataclass(frozen=True, eq=False)
class FederatedData:
    """The images of one audit, grouped by their holder.

    Attributes:
        train: The training images of all clients.
        clients: For each client its rows of `train`, int64. They are disjoint and not empty, and cover all rows.
        test: The test split, for accuracy. `held_out`, and `auxiliary` if it is in distribution, are subsets of it.
        auxiliary: The attacker's images, with the shape and the classes of `train`.
        held_out: Images that are neither trained on nor known to the attacker, for calibration and membership
            inference.
        public: Publicly available images that serve as a prior: the set's public split, whose labels have no meaning,
            or else the auxiliary images, which add nothing to the attacker's knowledge.
        notes: Differences from the configuration or the published set, in sentences for the report.
        class_names: Names of the classes, in the order of their numbers; empty if unknown.
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
        """Hash of all images, labels and their division, in hexadecimal."""
        sets = (self.train, self.test, self.auxiliary, self.held_out, self.public)
        sizes = torch.tensor([len(rows) for rows in self.clients])
        parts = [*(images.fingerprint for images in sets), tensor_hash(sizes, *self.clients)]
        return sha256("\n".join(parts).encode()).hexdigest()


def load_data(config: DataConfig, *, clients: int, seed: int, data_dir: Path | None = None) -> FederatedData:
    """Load a federation's images and divide them.

    The same configuration, seed and files give the same data.

    Args:
        config: The data set, its sizes and the partition.
        clients: Number of clients that hold the training images.
        seed: The run's seed. It selects the training images, partitions them, and selects the attacker's images.
        data_dir: A local mirror of the published sets, which takes precedence over downloads. Default: no mirror.

    Returns:
        The images of all parties.

    Raises:
        DatasetError: A set is unknown, missing, unreadable or too small, its images differ in size, or the training
            images can't be partitioned as configured.
    """
    source = _find(config.name, config, data_dir)
    size = None if config.image_size is None else (config.image_size, config.image_size)
    train, notes = _training_images(source, config, size, seed)
    test = source.read("test", size=size)
    if test.shape[1:] != train.shape[1:]:
        raise DatasetError(
            f"{config.name} has training images of {list(train.shape[1:])} pixels and test images of "
            f"{list(test.shape[1:])}. Scale all images to one size with image_size."
        )
    channels = max(train.shape[0], test.shape[0])
    train, test = convert_channels(train, channels), convert_channels(test, channels)
    notes += _size_notes(config.name, source)

    other = None if config.auxiliary is None else _find(config.auxiliary, config, data_dir)
    generator = make_generator(seed, "datasets", "auxiliary")
    order = torch.randperm(len(test), generator=generator)
    if other is None or other == source:
        auxiliary, held_out, auxiliary_notes = _from_test_split(test, order, config.auxiliary_size)
    else:
        held_out = test.subset(order[:HELD_OUT])
        auxiliary, auxiliary_notes = _from_another_set(other, train, config.auxiliary_size, generator)
    public = auxiliary
    if "public" in source.splits:
        public = convert_channels(source.read("public", size=train.shape[1:]), channels)

    partition: Any = config.build_partition()
    client_rows = partition(train.labels, clients, generator=make_generator(seed, "datasets", "partition"))
    check_partition(client_rows, clients, rows=len(train))
    return FederatedData(
        train,
        client_rows,
        test,
        auxiliary,
        held_out,
        public,
        tuple(notes + auxiliary_notes),
        source.class_names,
    )


def _find(name: str, config: DataConfig, data_dir: Path | None) -> Source:
    decoding = Decoding(config.white_level, config.exif_orientation)
    return find_source(name, data_dir=data_dir, decoding=decoding)


def _training_images(
    source: Source, config: DataConfig, size: tuple[int, int] | None, seed: int
) -> tuple[ImageSet, list[str]]:
    count = source.count("train")
    if config.train_size is None or config.train_size == count:
        return source.read("train", size=size), []
    if config.train_size > count:
        note = (
            f"All {count:,} training images of {config.name} are used, fewer than the requested "
            f"{config.train_size:,}."
        )
        return source.read("train", size=size), [note]
    drawn = _draw(count, config.train_size, make_generator(seed, "datasets", "train"))
    return source.read("train", rows=drawn, size=size), []


def _size_notes(name: str, source: Source) -> list[str]:
    published = PUBLISHED[name].sizes if name in PUBLISHED else {}
    kinds = {"train": "training", "test": "test"}
    counts = {split: source.count(split) for split in published}
    return [
        f"This copy of {name} has {counts[split]:,} {kinds[split]} images; the published set has "
        f"{published[split]:,}."
        for split in published
        if counts[split] != published[split]
    ]


def _from_test_split(test: ImageSet, order: Tensor, wanted: int) -> tuple[ImageSet, ImageSet, list[str]]:
    """Return auxiliary images, held-out images and notes; at least a tenth of the split is held out."""
    if len(test) < 2:
        raise DatasetError(
            f"{test.name} has {len(test)} test images, but at least two are needed, of which one is held out."
        )
    reserved = math.ceil(_RESERVED * len(test))
    auxiliary_size = min(wanted, len(test) - reserved)
    notes = []
    if auxiliary_size < wanted:
        notes.append(
            f"The auxiliary set has {auxiliary_size:,} images instead of the requested {wanted:,}: "
            f"{test.name} has {len(test):,} test images, of which {reserved:,} are held out."
        )
    held_out = order[auxiliary_size : auxiliary_size + HELD_OUT]
    return test.subset(order[:auxiliary_size]), test.subset(held_out), notes


def _from_another_set(
    source: Source, train: ImageSet, wanted: int, generator: torch.Generator
) -> tuple[ImageSet, list[str]]:
    """Return auxiliary images of another set in the training images' shape, its test split first, and notes."""
    channels, height, width = train.shape
    images, labels, missing, name, classes = [], [], wanted, "", 0
    for split in ("test", "train"):
        available = source.count(split)
        if missing and available:
            drawn = _draw(available, min(missing, available), generator)
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
    shared = _count_shared(auxiliary.images, train.images)
    if shared:
        notes.append(
            f"{shared:,} of the auxiliary images are also training images, so the attack's scores are too optimistic."
        )
    if missing:
        notes.append(
            f"The auxiliary set has {len(auxiliary):,} images, all of {name}, instead of the requested {wanted:,}."
        )
    return auxiliary, notes


def _count_shared(images: Tensor, others: Tensor) -> int:
    """Count the images that are, bit for bit, among the others."""
    digests = {_digest(image) for image in others}
    return sum(_digest(image) in digests for image in images)


def _digest(image: Tensor) -> bytes:
    return blake2b(image.numpy().tobytes(), digest_size=16).digest()


def _draw(available: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw this number of rows at random, in ascending order."""
    return torch.randperm(available, generator=generator)[:count].sort().values
