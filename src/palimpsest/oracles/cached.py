"""A cache of an oracle's answers on disk, so that no sample is queried twice."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch import Tensor

from palimpsest.errors import CheckpointError, OracleError
from palimpsest.storage import save_tensors

Ask = Callable[[Tensor, Tensor], object]
"""A function from images `[n, channels, height, width]` and labels `[n]` to gradient differences `[n, d]`, in a type
that `check_answer` accepts."""
_KEY = 16

StorageDtype = Literal["float32", "bfloat16"]
_DTYPES: dict[StorageDtype, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "F32"),
    "bfloat16": (torch.bfloat16, "BF16"),
}


class RecordedOracle:
    """An oracle that stores every answer as it arrives, so that a stopped run resumes without repeating queries.

    Args:
        ask: Answers a batch of queries.
        dimension: Length d of each vector.
        folder: The folder of the stored answers. Samples whose answers it holds are not queried again.
        batch_size: Largest number of samples in a query.
        budget: Largest number of distinct samples to query, including those in the folder. None means unlimited.
        storage_dtype: Element type of the stored answers. Answers are rounded to it before their first use too, so that
            a resumed run computes with the same values.

    Raises:
        CheckpointError: A file of stored answers is damaged or of another dimension or type.
    """

    def __init__(
        self,
        ask: Ask,
        dimension: int,
        *,
        folder: Path,
        batch_size: int,
        budget: int | None = None,
        storage_dtype: StorageDtype = "float32",
    ) -> None:
        """Read the index of the answers that are already stored."""
        self._ask, self._dimension = ask, dimension
        self._folder, self.batch_size, self._budget = folder, batch_size, budget
        self._dtype, stored_dtype = _DTYPES[storage_dtype]
        self._places: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(folder.glob("answers-*.safetensors")):
            self._remember(path, _stored_keys(path, stored_dtype, dimension))

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._dimension

    @property
    def asked(self) -> int:
        """Number of distinct samples queried so far, including earlier sessions of the run."""
        return len(self._places)

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the gradient differences of any samples; see `Oracle`.

        Raises:
            OracleError: The query budget is exhausted, or an answer is invalid; see `check_answer`.
        """
        for start in range(0, len(images), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self._answer(images[rows], labels[rows])

    def ask_anew(self, images: Tensor, labels: Tensor) -> Tensor:
        """Query samples again, bypassing the cache, to check whether the oracle repeats its answers.

        Args:
            images: At most `batch_size` images, `[n, channels, height, width]`.
            labels: Their labels, `[n]`.

        Returns:
            Gradient differences `[n, d]`; they are not stored.

        Raises:
            OracleError: The answer is invalid.
        """
        return check_answer(self._ask(images, labels), len(images), self._dimension)

    def _answer(self, images: Tensor, labels: Tensor) -> Tensor:
        keys = [sample_key(image, label) for image, label in zip(images, labels, strict=True)]
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        unknown = sorted(row for key, row in first.items() if key not in self._places)
        vectors = torch.empty(len(images), self._dimension)
        if unknown:
            self._spend(len(unknown))
            answers = check_answer(self._ask(images[unknown], labels[unknown]), len(unknown), self._dimension)
            answers = answers.to(self._dtype)
            self._store([keys[row] for row in unknown], answers)
            vectors[unknown] = answers.float()
        known = [row for row in range(len(keys)) if row not in set(unknown)]
        self._recall({row: self._places[keys[row]] for row in known}, vectors)
        # The folder may come from another party, so stored answers are checked like new ones.
        return check_answer(vectors, len(images), self._dimension)

    def _spend(self, samples: int) -> None:
        if self._budget is not None and self.asked + samples > self._budget:
            raise OracleError(
                f"The query budget of {self._budget:,} samples is exhausted: {self.asked:,} were queried and "
                f"{samples:,} more are needed. Raise oracle.query_budget, or lower attack.queries or auxiliary_size."
            )

    def _store(self, keys: list[bytes], vectors: Tensor) -> None:
        digest = blake2b(b"".join(keys), digest_size=_KEY).hexdigest()
        path = self._folder / f"answers-{digest}.safetensors"
        table = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(-1, _KEY)
        save_tensors(path, {"keys": table, "vectors": vectors})
        self._remember(path, keys)

    def _remember(self, path: Path, keys: list[bytes]) -> None:
        self._places |= {key: (path, row) for row, key in enumerate(keys)}

    def _recall(self, places: dict[int, tuple[Path, int]], vectors: Tensor) -> None:
        """Read stored answers into their rows of `vectors`."""
        for path in dict.fromkeys(path for path, _ in places.values()):
            wanted = [(row, stored) for row, (place, stored) in places.items() if place == path]
            with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
                stored = file.get_slice("vectors")
                for row, place in wanted:
                    vectors[row] = stored[place]


def check_answer(answer: object, count: int, dimension: int) -> Tensor:
    """Convert an oracle's answer to finite float32 vectors on the CPU.

    Args:
        answer: The answer: a tensor, or anything that torch can convert to one, such as a numpy array.
        count: Number n of samples that were queried.
        dimension: Length d of each vector.

    Returns:
        Vectors `[n, d]`.

    Raises:
        OracleError: The answer can't be converted, has another shape, or has non-finite values.
    """
    try:
        vectors = torch.as_tensor(answer).detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OracleError(
            f"The oracle answered with a {type(answer).__name__}. It must return vectors [n, d]."
        ) from error
    if vectors.shape != (count, dimension):
        raise OracleError(
            f"The oracle answered {count} queries with vectors of shape {tuple(vectors.shape)}, not "
            f"{(count, dimension)}. It must return one gradient difference, as long as a proof, for each sample."
        )
    if not vectors.isfinite().all():
        raise OracleError("The oracle answered with values that are not finite. Fix it, then run again.")
    return vectors


def sample_key(image: Tensor, label: Tensor) -> bytes:
    """Hash a sample's pixels and label, as its key in the cache."""
    content = image.detach().cpu().to(torch.float32).contiguous().numpy().tobytes()
    return blake2b(content + int(label).to_bytes(8, "little", signed=True), digest_size=_KEY).digest()


def _stored_keys(path: Path, dtype: str, dimension: int) -> list[bytes]:
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            count = file.get_slice("keys").get_shape()[0]
            for name, expected, width in (("keys", "U8", _KEY), ("vectors", dtype, dimension)):
                stored = file.get_slice(name)
                if stored.get_dtype() != expected or stored.get_shape() != [count, width]:
                    raise ValueError(f"its {name} are {stored.get_dtype()} {stored.get_shape()}")
            table = file.get_tensor("keys")
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Remove it; its samples will be queried again."
        ) from error
    return [bytes(row) for row in table.numpy()]
