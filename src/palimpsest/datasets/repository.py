"""Any image set on the Hugging Face hub, by its repository: from a mirror here, or from the hub's parquet files."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.parquet import count_rows, read_class_names, read_images, read_labels
from palimpsest.datasets.source import Source
from palimpsest.errors import DatasetError

PREFIX = "hf:"
# Where the hub keeps every viewable set as parquet: <configuration>/<split>/0000.parquet.
_CONVERTED = "refs/convert/parquet"
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class HubRepository(Source):
    """A data set by its repository, `owner/name`, or `owner/name/configuration` where it has several.

    Attributes:
        repository: `owner/name`.
        configuration: One of its configurations; none where it has one alone.
        data_dir: A mirror, whose folder `owner/name` goes before the hub; or none.
    """

    repository: str
    configuration: str | None
    data_dir: Path | None

    @classmethod
    def parse(cls, name: str, data_dir: Path | None) -> "HubRepository":
        """Read `hf:owner/name` or `hf:owner/name/configuration`.

        Raises:
            DatasetError: It has another form.
        """
        parts = name.removeprefix(PREFIX).split("/")
        if len(parts) not in (2, 3) or not all(
            re.fullmatch(r"[\w.-]+", part) and part != ".." for part in parts
        ):
            raise DatasetError(
                f"{name!r} names no set on the hub: write hf:owner/name, or hf:owner/name/configuration."
            )
        return cls("/".join(parts[:2]), parts[2] if len(parts) == 3 else None, data_dir)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits' names, the training images' first."""
        return tuple(sorted(self._shards, key=lambda split: (split != "train", split)))

    def count(self, split: str) -> int:
        """How many images a split has."""
        return sum(map(count_rows, self._files(split)))

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; arguments as for `Source.read`."""
        images, labels, start = [], [], 0
        for file in self._files(split):
            told = read_labels(file)
            chosen = torch.arange(len(told))
            if rows is not None:
                chosen = rows[(rows >= start) & (rows < start + len(told))] - start
            if len(chosen):
                images.append(read_images(file, rows=chosen, size=size))
                labels.append(told[chosen])
            start += len(told)
        if len({part.shape[1:] for part in images}) > 1:
            raise DatasetError(
                f"The files of {self.repository} hold images of several sizes: bring them to one with image_size."
            )
        return ImageSet(self.repository, torch.cat(images), torch.cat(labels), self._classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, where the first file tells them."""
        return read_class_names(self._files(self.splits[0])[0])

    @cached_property
    def _classes(self) -> int:
        files = [file for split in self.splits for file in self._files(split)]
        return 1 + max(int(read_labels(file).max()) for file in files)

    @property
    def _mirror(self) -> Path | None:
        folder = None if self.data_dir is None else self.data_dir / self.repository
        return folder if folder is not None and folder.is_dir() else None

    @cached_property
    def _shards(self) -> dict[str, list[str]]:
        """The files of each split, by their paths in the repository."""
        mirror = self._mirror
        if mirror is not None:
            names = [path.relative_to(mirror).as_posix() for path in sorted(mirror.rglob("*.parquet"))]
        else:
            names = sorted(name for name in _listed(self.repository) if name.endswith(".parquet"))
        if self.configuration is not None:
            names = [name for name in names if PurePosixPath(name).parts[0] == self.configuration]
        configurations = sorted({str(PurePosixPath(name).parents[-2]) for name in names if "/" in name})
        if len(configurations) > 1:
            raise DatasetError(
                f"{self.repository} has the configurations {', '.join(configurations[:10])}: name one, as in "
                f"{PREFIX}{self.repository}/{configurations[0]}."
            )
        shards: dict[str, list[str]] = {}
        for name in names:
            shards.setdefault(_split(PurePosixPath(name)), []).append(name)
        if not shards:
            raise DatasetError(
                f"{self.repository} has no parquet files: check the name, and its configuration."
            )
        return shards

    def _files(self, split: str) -> list[Path]:
        if split not in self._shards:
            raise DatasetError(f"{self.repository} has no {split!r} split: it has {', '.join(self.splits)}.")
        mirror = self._mirror
        if mirror is not None:
            return [mirror / name for name in self._shards[split]]
        return [_downloaded(self.repository, name) for name in self._shards[split]]


def _split(path: PurePosixPath) -> str:
    """`train` of `train.parquet`, of `train-00000-of-00002.parquet` and of `train/0000.parquet`."""
    return path.parent.name if path.stem.isdigit() else _SHARD.sub("", path.stem)


def _listed(repository: str) -> list[str]:
    from huggingface_hub import HfApi

    try:
        return list(HfApi().list_repo_files(repository, repo_type="dataset", revision=_CONVERTED))
    # The client raises its HTTP library's errors too, and that library changes with its version.
    except Exception as error:
        raise _unreachable(repository, error) from error


def _downloaded(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name, repo_type="dataset", revision=_CONVERTED))
    except Exception as error:
        raise _unreachable(repository, error) from error


def _unreachable(repository: str, error: Exception) -> DatasetError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
    return DatasetError(
        f"{repository} could not be had from huggingface.co/datasets ({reason}): run the same command again, or pass "
        f"--data-dir with a folder that holds {repository}/train.parquet."
    )
