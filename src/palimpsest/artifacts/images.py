"""Loading, drawing and relabeling of samples: images, rows of a table, or sequences of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from palimpsest.artifacts.config import CheckpointsConfig
from palimpsest.datasets import ImageFolder, SampleSet, find_source, read_table
from palimpsest.datasets.images import convert_channels
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator

T = TypeVar("T", bound=SampleSet)


@dataclass(frozen=True)
class LoadedSamples:
    """Samples and the names of their classes.

    Args:
        samples: Labeled samples.
        names: Names of the classes if they come from folders, else empty.
    """

    samples: SampleSet
    names: tuple[str, ...] = ()


def load_samples(
    name: str,
    *,
    split: str | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    names: Sequence[str] = (),
    data_dir: Path | None = None,
) -> LoadedSamples:
    """Load a data set by name, from a folder, or from a file.

    Args:
        name: A name or path as for `find_source`, or the path of a table as for `read_table`.
        split: The split to load. If None, all splits in the source's order.
        image_size: Side length in pixels that every image is scaled to. If None, images keep their size.
        channels: 1 converts every image to gray, 3 to color. If None, images keep their channels.
        names: Names of a folder's classes in the order of their labels. If empty, alphabetical order.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.

    Raises:
        DatasetError: There is no such data set or split, or its images can't be used.
    """
    table = _table(name, split, image_size or channels)
    if table is not None:
        return LoadedSamples(table)
    source = find_source(name, data_dir=data_dir)
    if isinstance(source, ImageFolder):
        source = replace(source, names=tuple(names))
    size = None if image_size is None else (image_size, image_size)
    if split is None:
        images = source.read_all(size=size)
    elif split in source.splits:
        images = source.read(split, size=size)
    else:
        raise DatasetError(f"{name} has no split {split!r}: choose one of {', '.join(source.splits)}.")
    if channels is not None:
        images = convert_channels(images, channels)
    return LoadedSamples(images, source.class_names if isinstance(source, ImageFolder) else ())


def load_for(
    config: CheckpointsConfig,
    name: str,
    *,
    split: str | None = None,
    names: Sequence[str] | None = None,
    data_dir: Path | None = None,
) -> LoadedSamples:
    """Load samples with the image size, the channels and the class names of a configuration.

    Args:
        config: The configuration with `image_size`, `channels` and `class_names`.
        name: As for `load_samples`.
        split: As for `load_samples`.
        names: Names of a folder's classes. If None, the configuration's `class_names`.
        data_dir: As for `load_samples`.

    Raises:
        DatasetError: As for `load_samples`.
    """
    return load_samples(
        name,
        split=split,
        image_size=config.image_size,
        channels=config.channels,
        names=(config.class_names or ()) if names is None else names,
        data_dir=data_dir,
    )


def _table(name: str, split: str | None, scaled: int | None) -> SampleSet | None:
    path = Path(name).expanduser()
    if path.suffix not in (".csv", ".parquet") or not path.is_file():
        return None
    table = read_table(path)
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


def check_numbering(loaded: LoadedSamples, name: str, classes: int, *, named: bool) -> None:
    """Reject class folders whose numbers would be a guess.

    Folders are numbered in alphabetical order. If there are fewer than the model has classes, the order says nothing
    about the model's numbers: the folder of one forgotten class would become class 0.

    Args:
        loaded: The samples and the names of their class folders.
        name: Where the samples come from, for the message.
        classes: Number of the model's classes.
        named: Whether the user gave the names of all classes.

    Raises:
        DatasetError: The number of class folders is not the model's number of classes.
    """
    if named or not loaded.names or len(loaded.names) == classes:
        return
    shown = ", ".join(loaded.names[:5]) + (", ..." if len(loaded.names) > 5 else "")
    raise DatasetError(
        f"{name} has {len(loaded.names)} class folders ({shown}), but the model has {classes} classes, so "
        f"it is unknown "
        "which number each folder has. Set --class-names to the names of all classes in the model's order."
    )


def in_classes(images: T, classes: int) -> T:
    """Return the same samples with the number of classes that a model has.

    Args:
        images: Labeled samples.
        classes: Number of the model's classes.

    Raises:
        DatasetError: A label is not one of the model's classes.
    """
    highest = int(images.labels.max())
    if highest >= classes:
        raise DatasetError(
            f"{images.name} has labels up to {highest}, but the model has {classes} classes. Number the labels as the "
            "model does, from 0."
        )
    same: Any = images
    return replace(same, classes=classes)
