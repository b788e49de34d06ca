"""Division of an audit's images among clients, attacker, held-out set and test set."""

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from palimpsest.config import DataConfig
from palimpsest.datasets.auxiliary import Outsiders, choose_outsiders, draw, filter_copies
from palimpsest.datasets.catalog import find_source
from palimpsest.datasets.hub import PUBLISHED
from palimpsest.datasets.images import ImageSet, convert_channels
from palimpsest.datasets.overlap import Overlap
from palimpsest.datasets.partitions import check_partition
from palimpsest.datasets.reading import Decoding
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError
from palimpsest.progress import warn
from palimpsest.randomness import make_generator
from palimpsest.storage import tensor_hash


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
        overlap: Copies of the clients' images among those of the attacker; None if they were not looked for.
    """

    train: ImageSet
    clients: tuple[Tensor, ...]
    test: ImageSet
    auxiliary: ImageSet
    held_out: ImageSet
    public: ImageSet
    notes: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    overlap: Overlap | None = None

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
        DatasetError: A set is unknown, missing, unreadable or too small, its images differ in size, all images for the
            attacker are copies of the clients', or the training images can't be partitioned as configured.
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

    outsiders = _choose_outsiders(source, test, train, config, seed, data_dir)
    for sentence in outsiders.overlap.sentences():
        warn(sentence)

    partition: Any = config.build_partition()
    client_rows = partition(train.labels, clients, generator=make_generator(seed, "datasets", "partition"))
    check_partition(client_rows, clients, rows=len(train))
    return FederatedData(
        train,
        client_rows,
        test,
        outsiders.auxiliary,
        outsiders.held_out,
        outsiders.public,
        (*notes, *outsiders.notes, *outsiders.overlap.sentences()),
        source.class_names,
        outsiders.overlap,
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
    drawn = draw(count, config.train_size, make_generator(seed, "datasets", "train"))
    return source.read("train", rows=drawn, size=size), []


def _choose_outsiders(
    source: Source, test: ImageSet, train: ImageSet, config: DataConfig, seed: int, data_dir: Path | None
) -> Outsiders:
    """Return the images of the attacker and the held-out images."""
    other = None if config.auxiliary is None else _find(config.auxiliary, config, data_dir)
    remove = config.auxiliary_overlap == "remove"
    outsiders = choose_outsiders(
        test,
        train,
        None if other == source else other,
        wanted=config.auxiliary_size,
        remove=remove,
        generator=make_generator(seed, "datasets", "auxiliary"),
    )
    if "public" not in source.splits:
        return outsiders
    channels, height, width = train.shape
    images = convert_channels(source.read("public", size=(height, width)), channels)
    public, found = filter_copies(images, train, remove=remove, kind="public")
    return replace(outsiders, public=public, overlap=outsiders.overlap + found)


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
