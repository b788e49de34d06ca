"""Published image sets, from a local mirror or the Hugging Face hub."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.parquet import count_rows, read_class_names, read_images, read_labels
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError
from palimpsest.system.optional_module import import_optional


@dataclass(frozen=True)
class Published:
    """Description of a published set.

    Attributes:
        folder: Its folder in a mirror, which is also its repository on the hub.
        hub_folder: The folder of the parquet files in the repository. None means that the hub does not have the set.
        classes: Number of classes. None means to count the labels.
        sizes: Number of images in each published split.
        splits: Names of the splits.
    """

    folder: str
    hub_folder: str | None
    classes: int | None
    sizes: dict[str, int]
    splits: tuple[str, ...] = ("train", "test")

    def files(self, split: str) -> tuple[str, ...]:
        """Return the names under which a mirror may hold a split: the short name, or that of the hub's layout."""
        short = f"{split}.parquet"
        return (short,) if self.hub_folder is None else (short, self.hub_file(split))

    def hub_file(self, split: str) -> str:
        """Return the path of a split's file in the repository."""
        return f"{self.hub_folder}/{split}-00000-of-00001.parquet"


PUBLISHED = {
    "mnist": Published("ylecun/mnist", "mnist", 10, {"train": 60_000, "test": 10_000}),
    "fashion_mnist": Published(
        "zalando-datasets/fashion_mnist", "fashion_mnist", 10, {"train": 60_000, "test": 10_000}
    ),
    "cifar10": Published("uoft-cs/cifar10", "plain_text", 10, {"train": 50_000, "test": 10_000}),
    "cifar100": Published("uoft-cs/cifar100", "cifar100", 100, {"train": 50_000, "test": 10_000}),
    # The number of people depends on the selection that the mirror was made with.
    "lfw": Published("lfw", None, None, {}, ("train", "test", "public")),
}


@dataclass(frozen=True)
class PublishedSet(Source):
    """A published set by its name.

    Attributes:
        name: A key of `PUBLISHED`.
        data_dir: The mirror. None means to download from the hub.
    """

    name: str
    data_dir: Path | None

    @property
    def published(self) -> Published:
        """Description of the set."""
        return PUBLISHED[self.name]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return self.published.splits

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes from the file of the training images; empty if it has none."""
        return read_class_names(self._file("train"))

    @cached_property
    def _classes(self) -> int:
        if self.published.classes is not None:
            return self.published.classes
        return 1 + max(int(read_labels(self._file(split)).max()) for split in ("train", "test"))

    def count(self, split: str) -> int:
        """Return the number of images in this copy of a split."""
        return count_rows(self._file(split))

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`. Public images without labels get label 0."""
        path = self._file(split)
        labels = read_labels(path, classes=self._classes, required=split != "public")
        images = read_images(path, rows=rows, size=size)
        return ImageSet(self.name, images, labels if rows is None else labels[rows], self._classes)

    def _file(self, split: str) -> Path:
        mirrored = None if self.data_dir is None else _find_in_mirror(self.published, split, self.data_dir)
        return mirrored or _download(self.name, self.published, split)


def _find_in_mirror(published: Published, split: str, data_dir: Path) -> Path | None:
    """Return the split's file in a mirror; None if the mirror does not have the set."""
    if not data_dir.is_dir():
        raise DatasetError(f"--data-dir {data_dir} is not a folder. Check the path.")
    folder = data_dir / published.folder
    if not folder.is_dir():
        return None
    for file in published.files(split):
        if (folder / file).is_file():
            return folder / file
    raise DatasetError(
        f"{folder} lacks {split}.parquet. Complete the mirror, or remove the folder to download the set."
    )


def _download(name: str, published: Published, split: str) -> Path:
    """Return the split's file in the hub's cache, and download it if it is not there yet."""
    remedy = f"pass --data-dir with a folder that holds {published.folder}/{split}.parquet"
    if published.hub_folder is None:
        raise DatasetError(f"{name} is not on the hub: {remedy}.")
    import_optional("huggingface_hub", "datasets", "Downloading a data set")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, file = published.folder, published.hub_file(split)
    try:
        try:
            # The cache is tried first, because the hub's client contacts the network even for cached files.
            return Path(hf_hub_download(repository, file, repo_type="dataset", local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(hf_hub_download(repository, file, repo_type="dataset"))
    # The client also raises errors of its HTTP library, which differs between its versions.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        raise DatasetError(
            f"The {split} images of {name} could not be downloaded from huggingface.co/datasets/{repository} "
            f"({reason}). To resume the download, run the same command again. Or {remedy}."
        ) from error
