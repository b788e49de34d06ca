"""An oracle that asks another one, keeps every answer, and asks no question twice."""

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
"""Gradient differences `[n, d]`, as `check_answer` takes them, of images `[n, channels, height, width]` and labels
`[n]`."""
_KEY = 16

StorageDtype = Literal["float32", "bfloat16"]
_KINDS: dict[StorageDtype, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "F32"),
    "bfloat16": (torch.bfloat16, "BF16"),
}


class RecordedOracle:
    """Every answer is written when it comes, so that a run that was stopped goes on without asking again.

    Args:
        ask: Answers a few questions at once.
        dimension: Length d of each vector.
        folder: Where the answers are kept; those that are there are not asked for again.
        batch_size: Questions that are asked at once.
        budget: Samples that may be asked about in all, those in the folder among them; none for no limit.
        storage_dtype: In which numbers; an answer is rounded to them before anybody sees it, the first time too.
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
        self._ask, self._dimension = ask, dimension
        self._folder, self.batch_size, self._budget = folder, batch_size, budget
        self._dtype, kind = _KINDS[storage_dtype]
        self._places: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(folder.glob("answers-*.safetensors")):
            self._remember(path, _stored_keys(path, kind, dimension))

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._dimension

    @property
    def asked(self) -> int:
        """Samples that were asked about so far, in this run and before it was stopped."""
        return len(self._places)

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of any samples; see `Oracle`.

        Raises:
            OracleError: The budget is spent, or the answer is no answer to this question.
        """
        for start in range(0, len(images), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self._answer(images[rows], labels[rows])

    def ask_anew(self, images: Tensor, labels: Tensor) -> Tensor:
        """Ask although the answers may be known, and keep nothing: an oracle that lies may answer otherwise now.

        Args:
            images: At most `batch_size`, `[n, channels, height, width]`.
            labels: Theirs, `[n]`.
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
            self._keep([keys[row] for row in unknown], answers)
            vectors[unknown] = answers.float()
        known = [row for row in range(len(keys)) if row not in set(unknown)]
        self._recall({row: self._places[keys[row]] for row in known}, vectors)
        # A folder may come from somebody else: what is kept is believed no more than what is answered.
        return check_answer(vectors, len(images), self._dimension)

    def _spend(self, samples: int) -> None:
        if self._budget is not None and self.asked + samples > self._budget:
            raise OracleError(
                f"The query budget of {self._budget:,} samples is spent: {self.asked:,} were asked about and "
                f"{samples:,} more are wanted. Raise oracle.query_budget, or lower attack.queries or auxiliary_size."
            )

    def _keep(self, keys: list[bytes], vectors: Tensor) -> None:
        digest = blake2b(b"".join(keys), digest_size=_KEY).hexdigest()
        path = self._folder / f"answers-{digest}.safetensors"
        table = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(-1, _KEY)
        save_tensors(path, {"keys": table, "vectors": vectors})
        self._remember(path, keys)

    def _remember(self, path: Path, keys: list[bytes]) -> None:
        self._places |= {key: (path, row) for row, key in enumerate(keys)}

    def _recall(self, places: dict[int, tuple[Path, int]], vectors: Tensor) -> None:
        """Read the rows that are on disk into their places."""
        for path in dict.fromkeys(path for path, _ in places.values()):
            wanted = [(row, stored) for row, (place, stored) in places.items() if place == path]
            with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
                stored = file.get_slice("vectors")
                for row, place in wanted:
                    vectors[row] = stored[place]


def check_answer(answer: object, count: int, dimension: int) -> Tensor:
    """An oracle's answer as finite float32 vectors on the CPU.

    Args:
        answer: What it gave: a tensor, or what numpy can make one of.
        count: Samples that were asked about.
        dimension: Length of each vector.

    Raises:
        OracleError: It is something else.
    """
    try:
        vectors = torch.as_tensor(answer).detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OracleError(
            f"The oracle answered with a {type(answer).__name__}: it must give vectors [n, d]."
        ) from error
    if vectors.shape != (count, dimension):
        raise OracleError(
            f"The oracle answered {count} questions with vectors of shape {tuple(vectors.shape)}, not "
            f"{(count, dimension)}: it must give one gradient difference, as long as a proof, for each sample."
        )
    if not vectors.isfinite().all():
        raise OracleError("The oracle answered with values that are not finite: mend it, then run again.")
    return vectors


def sample_key(image: Tensor, label: Tensor) -> bytes:
    """What a sample is known by: its pixels and its label, hashed."""
    content = image.detach().cpu().to(torch.float32).contiguous().numpy().tobytes()
    return blake2b(content + int(label).to_bytes(8, "little", signed=True), digest_size=_KEY).digest()


def _stored_keys(path: Path, kind: str, dimension: int) -> list[bytes]:
    try:
        if not path.is_file():
            raise ValueError("it is no regular file")
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            count = file.get_slice("keys").get_shape()[0]
            for name, expected, width in (("keys", "U8", _KEY), ("vectors", kind, dimension)):
                stored = file.get_slice(name)
                if stored.get_dtype() != expected or stored.get_shape() != [count, width]:
                    raise ValueError(f"its {name} are {stored.get_dtype()} {stored.get_shape()}")
            table = file.get_tensor("keys")
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged ({error}): remove it, and its questions are asked again."
        ) from error
    return [bytes(row) for row in table.numpy()]
