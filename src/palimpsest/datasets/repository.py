"""Any image set of the Hugging Face hub by its repository, from a local mirror or the hub's parquet files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from palimpsest.datasets.reading import Decoding
from palimpsest.datasets.shards import Shards, group_shards
from palimpsest.errors import DatasetError
from palimpsest.system.optional_module import import_optional

PREFIX = "hf:"
# The branch in which the hub converts every viewable set to <configuration>/<split>/0000.parquet.
_CONVERTED = "refs/convert/parquet"


@dataclass(frozen=True)
class HubRepository(Shards):
    """An image set by its repository on the hub.

    Attributes:
        repository: The repository as `owner/name`.
        configuration: One of the repository's configurations. None means that it has only one.
        data_dir: A mirror, whose folder `owner/name` takes precedence over the hub, or None.
        names: Names of the classes, in order. They number a column of names; if empty, labels must be numbers.
        decoding: How the images are read.
    """

    repository: str
    configuration: str | None
    data_dir: Path | None
    names: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)

    @classmethod
    def parse(cls, name: str, data_dir: Path | None) -> "HubRepository":
        """Parse `hf:owner/name` or `hf:owner/name/configuration`.

        Args:
            name: The name.
            data_dir: A mirror; see the attribute.

        Returns:
            The source; its files are not read yet.

        Raises:
            DatasetError: The name has another form.
        """
        parts = name.removeprefix(PREFIX).split("/")
        if len(parts) not in (2, 3) or not all(
            re.fullmatch(r"[\w.-]+", part) and part != ".." for part in parts
        ):
            raise DatasetError(
                f"{name!r} is not the name of a set on the hub. Write hf:owner/name or hf:owner/name/configuration."
            )
        return cls("/".join(parts[:2]), parts[2] if len(parts) == 3 else None, data_dir)

    @property
    def title(self) -> str:
        """Name of the repository."""
        return self.repository

    @property
    def stored_splits(self) -> tuple[str, ...]:
        """Names of the splits, `train` first."""
        return tuple(sorted(self._shards, key=lambda split: (split != "train", split)))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, `train` first."""
        return self.stored_splits

    @property
    def _mirror(self) -> Path | None:
        folder = None if self.data_dir is None else self.data_dir / self.repository
        return folder if folder is not None and folder.is_dir() else None

    @cached_property
    def _shards(self) -> dict[str, list[str]]:
        """Paths of each split's files in the repository."""
        mirror = self._mirror
        if mirror is not None:
            names = [path.relative_to(mirror).as_posix() for path in sorted(mirror.rglob("*.parquet"))]
        else:
            names = sorted(name for name in _list_files(self.repository) if name.endswith(".parquet"))
        if self.configuration is not None:
            names = [name for name in names if PurePosixPath(name).parts[0] == self.configuration]
        configurations = sorted({str(PurePosixPath(name).parents[-2]) for name in names if "/" in name})
        if len(configurations) > 1:
            raise DatasetError(
                f"{self.repository} has the configurations {', '.join(configurations[:10])}. Name one of them, such "
                f"as {PREFIX}{self.repository}/{configurations[0]}."
            )
        shards = group_shards(names, self.repository)
        if not shards:
            raise DatasetError(
                f"{self.repository} has no parquet files. Check the name and the configuration."
            )
        return shards

    def files(self, split: str) -> Sequence[Path]:
        """Return the files of a split, which are downloaded if there is no mirror."""
        if split not in self._shards:
            raise DatasetError(f"{self.repository} has no {split!r} split. It has {', '.join(self.splits)}.")
        mirror = self._mirror
        if mirror is not None:
            return [mirror / name for name in self._shards[split]]
        return [_download(self.repository, name) for name in self._shards[split]]


def _list_files(repository: str) -> list[str]:
    import_optional("huggingface_hub", "datasets", "Listing a data set's files")
    from huggingface_hub import HfApi

    try:
        return list(HfApi().list_repo_files(repository, repo_type="dataset", revision=_CONVERTED))
    # The client also raises errors of its HTTP library, which differs between its versions.
    except Exception as error:
        raise _unreachable(repository, error) from error


def _download(repository: str, name: str) -> Path:
    import_optional("huggingface_hub", "datasets", "Downloading a data set")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name, repo_type="dataset", revision=_CONVERTED))
    except Exception as error:
        raise _unreachable(repository, error) from error


def _unreachable(repository: str, error: Exception) -> DatasetError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
    return DatasetError(
        f"{repository} could not be downloaded from huggingface.co/datasets ({reason}). Run the same command again, "
        f"or pass --data-dir with a folder that holds {repository}/train.parquet."
    )
