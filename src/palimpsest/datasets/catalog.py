"""Image sets by name: a known set, a folder, a parquet file, or a table."""

from dataclasses import replace
from pathlib import Path

from palimpsest.datasets.decode import Size
from palimpsest.datasets.folder import SUFFIXES, ImageFolder
from palimpsest.datasets.hub import PUBLISHED, PublishedSet
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.listed import ImageList
from palimpsest.datasets.parquet import ParquetFile
from palimpsest.datasets.reading import Decoding, Orientation
from palimpsest.datasets.repository import PREFIX, HubRepository
from palimpsest.datasets.shards import ParquetShards, find_shards
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError
from palimpsest.registry import DATASETS, closest


def dataset_names() -> list[str]:
    """Return the names of the known sets, sorted."""
    return sorted([*DATASETS.names(), *PUBLISHED])


def find_source(name: str, *, data_dir: Path | None = None, decoding: Decoding | None = None) -> Source:
    """Find the source of an image set, without reading images.

    Args:
        name: A known set, any set on the hub as `hf:owner/name`, a folder of class folders, a `.parquet` file, or a
            `.csv` table of file names and labels, which may also be the `metadata.csv` of a folder. A known set takes
            precedence over a folder of the same name in the working directory: write `./mnist` for the folder. A folder
            or a pattern such as `data/train-*.parquet` may also name the shards of a set.
        data_dir: A local mirror of the published sets, which takes precedence over downloads. Default: no mirror.
        decoding: How image files are read. Sets that are published or registered have one reading only.

    Returns:
        The source.

    Raises:
        DatasetError: There is no such set, folder or file.
    """
    mirror = None if data_dir is None else data_dir.resolve()
    decoding = decoding or Decoding()
    if name in PUBLISHED:
        return PublishedSet(name, mirror)
    if name in DATASETS:
        return DATASETS.get(name).open(mirror)
    if name.startswith(PREFIX):
        return replace(HubRepository.parse(name, mirror), decoding=decoding)
    try:
        path = Path(name).expanduser().resolve()
        found = _find_files(path, decoding)
    # A name may be too long for a path, hold a zero byte, or name the home of an unknown user.
    except (OSError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{name[:200]!r} is not a valid path ({error}). Check the name.") from error
    if found is not None:
        return found
    if path.suffix in (".parquet", ".csv") or "/" in name:
        raise DatasetError(f"There is no folder, parquet file or CSV table {name!r}. Check the path.")
    raise DatasetError(
        f"There is no data set {name!r}: {closest(name, dataset_names())} "
        "A folder of class folders, a .parquet file, a .csv table and hf:owner/name are also accepted."
    )


def _find_files(path: Path, decoding: Decoding) -> Source | None:
    """Return the source of a folder, a file, or the files that a pattern names; None if there is nothing."""
    if path.is_dir():
        table = path / "metadata.csv"
        if table.is_file():
            return ImageList(table, decoding=decoding)
        # The walk ends at the first image, since a folder may hold many.
        has_images = any(file.suffix.lower() in SUFFIXES and file.is_file() for file in path.rglob("*"))
        shards = {} if has_images else find_shards(path)
        if shards:
            others = sum(file.is_file() for file in path.rglob("*")) - sum(map(len, shards.values()))
            return ParquetShards(path, shards, decoding=decoding, skipped=others)
        return ImageFolder(path, decoding=decoding)
    if path.suffix == ".parquet" and path.is_file():
        return ParquetFile(path, decoding=decoding)
    if path.suffix == ".csv" and path.is_file():
        return ImageList(path, decoding=decoding)
    if path.suffix == ".parquet" and any(mark in path.name for mark in "*?["):
        shards = find_shards(path.parent, path.name)
        if shards:
            return ParquetShards(path.parent, shards, decoding=decoding)
    return None


def load_images(
    name: str,
    split: str,
    *,
    data_dir: Path | None = None,
    image_size: int | Size | None = None,
    white_level: float | None = None,
    exif_orientation: Orientation | None = None,
) -> ImageSet:
    """Load one split of an image set.

    Args:
        name: A known set such as `digits` or `mnist`, any set on the hub as `hf:owner/name`, a folder of class folders,
            a `.parquet` file, or a `.csv` table of file names and labels.
        split: `train` or `test`, or `public` if the set has unlabeled images.
        data_dir: A local mirror of the published sets, which takes precedence over downloads. Default: no mirror.
        image_size: Side in pixels, or height and width, to scale every image to. If omitted, images keep their size.
        white_level: The value that becomes 1 in gray images of more than 8 bits. If omitted, they raise an error.
        exif_orientation: `apply` or `ignore`. If omitted, it is applied to images in parquet files only.

    Returns:
        All images of the split, in the order of their rows or file names.

    Raises:
        DatasetError: There is no such set or split, or an image can't be used; the message names the first one.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from palimpsest import load_images
        >>> with TemporaryDirectory() as folder:
        ...     for name in ("cat", "dog"):
        ...         Path(folder, name).mkdir()
        ...         for row in range(5):
        ...             Image.new("L", (8, 8)).save(Path(folder, name, f"{row}.png"))
        ...     train = load_images(folder, "train")
        >>> len(train), train.shape, train.classes
        (8, (1, 8, 8), 2)
    """
    source = find_source(name, data_dir=data_dir, decoding=Decoding(white_level, exif_orientation))
    if split not in source.splits:
        raise DatasetError(f"{name} has no {split!r} split: {closest(split, list(source.splits))}")
    return source.read(split, size=(image_size, image_size) if isinstance(image_size, int) else image_size)
