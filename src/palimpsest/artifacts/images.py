"""The samples of a case, images or not, with the classes of one model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from palimpsest.artifacts.config import OwnModels
from palimpsest.datasets import ImageFolder, SampleSet, find_source, read_table
from palimpsest.datasets.images import convert_channels
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator

T = TypeVar("T", bound=SampleSet)


@dataclass(frozen=True)
class LoadedSamples:
    """Samples, and what their classes are called.

    Args:
        samples: Labeled samples.
        names: Names of the classes, where folders tell them.
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
    """Load a set of samples as it was brought.

    Args:
        name: As for `find_source`, or a table as for `read_table`.
        split: Only this split; none takes all, in the source's own order.
        image_size: Scale every image to so many pixels a side.
        channels: Bring every image to gray (1) or to color (3).
        names: The classes of a folder, where they are known already.
        data_dir: A mirror of the published sets.

    Raises:
        DatasetError: There is no such set or split, or its images can't be used.
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
        raise DatasetError(f"{name} has no {split!r} split: it has {', '.join(source.splits)}.")
    if channels is not None:
        images = convert_channels(images, channels)
    return LoadedSamples(images, source.class_names if isinstance(source, ImageFolder) else ())


def load_for(
    config: OwnModels,
    name: str,
    *,
    split: str | None = None,
    names: Sequence[str] | None = None,
    data_dir: Path | None = None,
) -> LoadedSamples:
    """Load a set of samples in the size and the channels that a configuration's models take.

    Args:
        config: What says so, and what classes are called.
        name: As for `load_samples`.
        split: As for `load_samples`.
        names: The classes of a folder; none takes the configuration's.
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
            f"{name} holds {table.kind}, which have no split, image_size or channels: leave them out, and give a "
            "file for each part."
        )
    return table


def draw(images: T, limit: int | None, *, seed: int) -> T:
    """At most so many of the samples, drawn at random, in their order.

    Args:
        images: Labeled samples.
        limit: How many; none for all.
        seed: The run's.
    """
    if limit is None or limit >= len(images):
        return images
    order = torch.randperm(len(images), generator=make_generator(seed, "case", "auxiliary"))
    return images.subset(order[:limit].sort().values)


def in_classes(images: T, classes: int) -> T:
    """The same samples, labeled for a model.

    Args:
        images: Labeled samples.
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
    same: Any = images
    return replace(same, classes=classes)
