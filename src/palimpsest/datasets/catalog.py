"""Images by name: a known set, a folder, a parquet file, or a table."""

from pathlib import Path

from palimpsest.datasets.decode import Size
from palimpsest.datasets.folder import ImageFolder
from palimpsest.datasets.hub import PUBLISHED, PublishedSet
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.listed import ImageList
from palimpsest.datasets.parquet import ParquetFile
from palimpsest.datasets.repository import PREFIX, HubRepository
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError
from palimpsest.registry import DATASETS, closest


def dataset_names() -> list[str]:
    """The names of the known sets, sorted."""
    return sorted([*DATASETS.names(), *PUBLISHED])


def find_source(name: str, *, data_dir: Path | None = None) -> Source:
    """Find where images come from, without reading them.

    Args:
        name: A known set, any set on the hub as `hf:owner/name`, a folder of class folders, a `.parquet` file, or a
            `.csv` table of file names and labels, which may also be the `metadata.csv` of a folder. A known
            name goes before a folder of that name in the working directory: write `./mnist` for the folder.
        data_dir: A mirror of the published sets; what it has is never fetched from the network.

    Raises:
        DatasetError: There is nothing of that name.
    """
    mirror = None if data_dir is None else data_dir.resolve()
    if name in PUBLISHED:
        return PublishedSet(name, mirror)
    if name in DATASETS:
        return DATASETS.get(name).open(mirror)
    if name.startswith(PREFIX):
        return HubRepository.parse(name, mirror)
    try:
        path = Path(name).expanduser().resolve()
        if path.is_dir():
            table = path / "metadata.csv"
            return ImageList(table) if table.is_file() else ImageFolder(path)
        if path.suffix == ".parquet" and path.is_file():
            return ParquetFile(path)
        if path.suffix == ".csv" and path.is_file():
            return ImageList(path)
    # A name may be too long for a path, hold a zero byte, or name a home that nobody has.
    except (OSError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{name[:200]!r} is no path ({error}): check the name.") from error
    if path.suffix in (".parquet", ".csv") or "/" in name:
        raise DatasetError(f"There is no folder, parquet file or CSV table {name!r}: check the path.")
    raise DatasetError(
        f"There is no data set {name!r}: {closest(name, dataset_names())} "
        "A folder of class folders, a .parquet file, a .csv table or hf:owner/name will also do."
    )


def load_images(
    name: str, split: str, *, data_dir: Path | None = None, image_size: int | Size | None = None
) -> ImageSet:
    """Load one split of a set.

    Args:
        name: As for `find_source`.
        split: `train`, `test`, or `public` where the set has it.
        data_dir: As for `find_source`.
        image_size: Scale every image to so many pixels a side, or to this height and width.

    Returns:
        All images of the split, in the order of their rows or file names.

    Raises:
        DatasetError: There is no such set or split, or its images can't be used; the message names the first.
    """
    source = find_source(name, data_dir=data_dir)
    if split not in source.splits:
        raise DatasetError(f"{name} has no {split!r} split: {closest(split, list(source.splits))}")
    return source.read(split, size=(image_size, image_size) if isinstance(image_size, int) else image_size)
