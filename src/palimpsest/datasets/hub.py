"""Published sets: from a mirror on this machine, or else from the Hugging Face hub."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.parquet import count_rows, read_class_names, read_images, read_labels
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError


@dataclass(frozen=True)
class Published:
    """What is known of a set without its files.

    Attributes:
        folder: Where a mirror keeps it; for a set on the hub this is its repository.
        hub_folder: Where its repository keeps the parquet files; none says that the hub has no such set.
        classes: How many classes there are; none takes it from the labels.
        sizes: How many images each published split has.
        splits: The splits' names.
    """

    folder: str
    hub_folder: str | None
    classes: int | None
    sizes: dict[str, int]
    splits: tuple[str, ...] = ("train", "test")

    def files(self, split: str) -> tuple[str, ...]:
        """Where a mirror may keep a split: the short name, or the hub's own layout."""
        short = f"{split}.parquet"
        return (short,) if self.hub_folder is None else (short, self.hub_file(split))

    def hub_file(self, split: str) -> str:
        """The split's file in its repository."""
        return f"{self.hub_folder}/{split}-00000-of-00001.parquet"


PUBLISHED = {
    "mnist": Published("ylecun/mnist", "mnist", 10, {"train": 60_000, "test": 10_000}),
    "fashion_mnist": Published(
        "zalando-datasets/fashion_mnist", "fashion_mnist", 10, {"train": 60_000, "test": 10_000}
    ),
    "cifar10": Published("uoft-cs/cifar10", "plain_text", 10, {"train": 50_000, "test": 10_000}),
    "cifar100": Published("uoft-cs/cifar100", "cifar100", 100, {"train": 50_000, "test": 10_000}),
    # Which people, and how many, depends on who made the mirror.
    "lfw": Published("lfw", None, None, {}, ("train", "test", "public")),
}


@dataclass(frozen=True)
class PublishedSet(Source):
    """A published set by its name.

    Attributes:
        name: A key of `PUBLISHED`.
        data_dir: The mirror, or none.
    """

    name: str
    data_dir: Path | None

    @property
    def published(self) -> Published:
        """What is known of the set without its files."""
        return PUBLISHED[self.name]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits' names."""
        return self.published.splits

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, where the training images' file tells them."""
        return read_class_names(self._file("train"))

    @cached_property
    def _classes(self) -> int:
        if self.published.classes is not None:
            return self.published.classes
        return 1 + max(int(read_labels(self._file(split)).max()) for split in ("train", "test"))

    def count(self, split: str) -> int:
        """How many images a split has here."""
        return count_rows(self._file(split))

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; arguments as for `Source.read`. Public images without labels get zeros."""
        path = self._file(split)
        labels = read_labels(path, classes=self._classes, required=split != "public")
        images = read_images(path, rows=rows, size=size)
        return ImageSet(self.name, images, labels if rows is None else labels[rows], self._classes)

    def _file(self, split: str) -> Path:
        mirrored = None if self.data_dir is None else _mirrored(self.published, split, self.data_dir)
        return mirrored or _downloaded(self.name, self.published, split)


def _mirrored(published: Published, split: str, data_dir: Path) -> Path | None:
    """The split's file in a mirror, or none where the mirror lacks the whole set."""
    if not data_dir.is_dir():
        raise DatasetError(f"--data-dir {data_dir} is not a folder: check the path.")
    folder = data_dir / published.folder
    if not folder.is_dir():
        return None
    for file in published.files(split):
        if (folder / file).is_file():
            return folder / file
    raise DatasetError(
        f"{folder} lacks {split}.parquet: complete the mirror, or remove the folder to fetch the set."
    )


def _downloaded(name: str, published: Published, split: str) -> Path:
    """The split's file in the hub's cache, downloaded if it is not there yet."""
    where = f"pass --data-dir with a folder that holds {published.folder}/{split}.parquet"
    if published.hub_folder is None:
        raise DatasetError(f"{name} is not on the hub: {where}.")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, file = published.folder, published.hub_file(split)
    try:
        try:
            # Asked first, because the hub's client goes to the network even for what it has.
            return Path(hf_hub_download(repository, file, repo_type="dataset", local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(hf_hub_download(repository, file, repo_type="dataset"))
    # The client raises its HTTP library's errors too, and that library changes with its version.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
        raise DatasetError(
            f"The {split} images of {name} could not be downloaded from huggingface.co/datasets/{repository} "
            f"({reason}): run the same command again to go on where it stopped, or {where}."
        ) from error
