"""Loading, drawing and relabeling of samples: images, rows of a table, or sequences of tokens."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from palimpsest.artifacts.config import CheckpointsConfig
from palimpsest.artifacts.model_card import card_numbering
from palimpsest.datasets import ImageFolder, SampleSet, Source, find_source, read_table
from palimpsest.datasets.hub import PublishedSet
from palimpsest.datasets.images import convert_channels
from palimpsest.datasets.listed import ImageList
from palimpsest.datasets.numbering import Numbering, compare_numberings
from palimpsest.datasets.parquet import ParquetFile, read_class_names
from palimpsest.datasets.reading import Decoding
from palimpsest.datasets.repository import HubRepository
from palimpsest.datasets.shards import ParquetShards
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator

T = TypeVar("T", bound=SampleSet)


FOLDERS = "class folders in alphabetical order"
"""Origin of the numbering of class folders for which no names were given."""


@dataclass(frozen=True)
class LoadedSamples:
    """Samples and the numbering of their classes.

    Args:
        samples: Labeled samples.
        numbering: Names of the classes in order, or None if they are unknown.
    """

    samples: SampleSet
    numbering: Numbering | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes in order; empty if they are unknown."""
        return () if self.numbering is None else self.numbering.names


def load_samples(
    name: str,
    *,
    split: str | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    numbering: Numbering | None = None,
    decoding: Decoding | None = None,
    data_dir: Path | None = None,
) -> LoadedSamples:
    """Load a data set by name, from a folder, or from a file.

    Args:
        name: A name or path as for `find_source`, or the path of a table as for `read_table`.
        split: The split to load. If None, all splits in the source's order.
        image_size: Side length in pixels that every image is scaled to. If None, images keep their size.
        channels: 1 converts every image to gray, 3 to color. If None, images keep their channels.
        numbering: The model's numbering, which class folders and labels that are names get. If None, class folders are
            numbered in alphabetical order.
        decoding: How image files are read; see `find_source`.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.

    Raises:
        DatasetError: There is no such data set or split, its images or labels can't be used, or it has its own
            numbering, which differs from the given one.
    """
    names = () if numbering is None else numbering.names
    table = _table(name, split, image_size or channels, names)
    if table is not None:
        return _numbered(table, name, _table_names(Path(name).expanduser()), numbering)
    source = find_source(name, data_dir=data_dir, decoding=decoding)
    if isinstance(source, ImageFolder | ParquetFile | ImageList | ParquetShards | HubRepository):
        source = replace(source, names=names)
    size = None if image_size is None else (image_size, image_size)
    if split is None:
        images = source.read_all(size=size)
    elif split in source.splits:
        images = source.read(split, size=size)
    else:
        raise DatasetError(f"{name} has no split {split!r}: choose one of {', '.join(source.splits)}.")
    if channels is not None:
        images = convert_channels(images, channels)
    if isinstance(source, ImageFolder):
        return LoadedSamples(images, numbering or Numbering(source.class_names, FOLDERS))
    return _numbered(images, name, _stored_names(source), numbering)


def load_for(
    config: CheckpointsConfig,
    name: str,
    *,
    split: str | None = None,
    numbering: Numbering | None = None,
    data_dir: Path | None = None,
) -> LoadedSamples:
    """Load samples with the numbering of a configuration, and its image size, channels and ways of reading.

    Args:
        config: The configuration with `image_size`, `channels`, `decoding` and `class_names`.
        name: As for `load_samples`.
        split: As for `load_samples`.
        numbering: As for `load_samples`. If None, the configuration's `class_names`, or else the names in the
            original checkpoint's model card.
        data_dir: As for `load_samples`.

    Raises:
        PalimpsestError: As for `load_samples` and `card_numbering`.
    """
    return load_samples(
        name,
        split=split,
        image_size=config.image_size,
        channels=config.channels,
        numbering=numbering or model_numbering(config),
        decoding=config.decoding,
        data_dir=data_dir,
    )


def model_numbering(config: CheckpointsConfig) -> Numbering | None:
    """Return the numbering of the model's classes, from `class_names` or the original checkpoint's model card.

    Args:
        config: The configuration.

    Returns:
        The numbering, or None if neither has names.

    Raises:
        PalimpsestError: As for `card_numbering`.
    """
    card = None if config.original is None else card_numbering(config.original)
    return Numbering(config.class_names, "class_names") if config.class_names else card


def _stored_names(source: Source) -> tuple[str, ...]:
    """Names that a source stores with its numbers; those of published sets may need a download."""
    return () if isinstance(source, PublishedSet) else source.class_names


def _table_names(path: Path) -> tuple[str, ...]:
    return read_class_names(path) if path.suffix == ".parquet" else ()


def _numbered(
    samples: SampleSet, name: str, stored: tuple[str, ...], numbering: Numbering | None
) -> LoadedSamples:
    """Return samples whose labels are numbers, with the names of their file or of the model."""
    if numbering is not None:
        # A model may have more classes than the file.
        if stored and stored != numbering.names[: len(stored)]:
            raise DatasetError(
                f"{name} numbers its classes in another way than {numbering.origin}:\n"
                + compare_numberings(numbering.names, stored, titles=(numbering.origin, "file"))
                + "\nNumber the labels as the model does, or set --class-names to the names of all classes in the "
                "model's order if the first column is wrong."
            )
        return LoadedSamples(_widened(samples, len(numbering.names)), numbering)
    if not stored:
        return LoadedSamples(samples)
    return LoadedSamples(
        _widened(samples, len(stored)), Numbering(stored, f"the metadata of {Path(name).name}")
    )


def _widened(samples: T, classes: int) -> T:
    """Return the same samples with at least this number of classes."""
    same: Any = samples
    return replace(same, classes=max(classes, samples.classes))


def _table(name: str, split: str | None, scaled: int | None, names: tuple[str, ...]) -> SampleSet | None:
    path = Path(name).expanduser()
    if path.suffix not in (".csv", ".parquet") or not path.is_file():
        return None
    table = read_table(path, names=names)
    if table is not None and (split is not None or scaled is not None):
        raise DatasetError(
            f"{name} holds {table.kind}, which have no split, image_size or channels. Leave these keys out, and write "
            "each split to its own file."
        )
    return table


def draw(images: T, limit: int | None, *, seed: int) -> T:
    """Draw samples at random without replacement, and keep their order.

    Args:
        images: Labeled samples.
        limit: Number of samples to draw. If None, or if there are no more than that, all are returned.
        seed: The run's seed.
    """
    if limit is None or limit >= len(images):
        return images
    order = torch.randperm(len(images), generator=make_generator(seed, "case", "auxiliary"))
    return images.subset(order[:limit].sort().values)


def numbered(loaded: LoadedSamples, name: str, classes: int) -> LoadedSamples:
    """Return samples with a model's number of classes; reject those whose class numbers would be a guess.

    Class folders are numbered in alphabetical order. If there are fewer than the model has classes, the order says
    nothing about the model's numbers: the folder of one forgotten class would become class 0.

    Args:
        loaded: The samples and their numbering.
        name: Where the samples come from, for the message.
        classes: Number of the model's classes.

    Raises:
        DatasetError: The number of names is not the model's number of classes, or a label is not one of them.
    """
    numbering = loaded.numbering
    if numbering is None or len(numbering.names) == classes:
        return replace(loaded, samples=in_classes(loaded.samples, classes))
    names = numbering.names
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    counted = (
        f"{name} has {len(names)} class folders ({shown})"
        if numbering.origin == FOLDERS
        else f"{name}: {numbering.origin} has {len(names)} classes ({shown})"
    )
    raise DatasetError(
        f"{counted}, but the model has {classes} classes, so it is unknown which number each has. Set --class-names to "
        "the names of all classes in the model's order."
    )


def in_classes(images: T, classes: int) -> T:
    """Return the same samples with the number of classes that a model has.

    Args:
        images: Labeled samples.
        classes: Number of the model's classes.

    Raises:
        DatasetError: A label is not one of the model's classes.
    """
    lowest, highest = (int(end) for end in images.labels.aminmax())
    if highest >= classes:
        remedy = (
            "The labels seem to begin at 1: subtract 1 from each."
            if lowest >= 1 and highest == classes
            else f"Number the labels as the model does, from 0 to {classes - 1}."
        )
        single = ", or a single logit" if classes == 2 else ""
        raise DatasetError(
            f"{images.name} has labels from {lowest} to {highest}, but the model has {classes} classes{single}. "
            f"{remedy}"
        )
    same: Any = images
    return replace(same, classes=classes)
