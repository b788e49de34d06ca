"""An oracle of precomputed answers: gradient differences of the auxiliary samples, read from files."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from palimpsest.datasets import SampleSet
from palimpsest.errors import OracleError
from palimpsest.oracles.cached import check_answer, sample_key
from palimpsest.storage import file_hash

_CHUNK = 64
_PAIR = ("original", "unlearned")


class PrecomputedOracle:
    """An oracle that reads its answers from safetensors files, in the order of the files' names.

    Each file holds gradient differences `vectors` `[n, d]`, as `palimpsest prove` writes them, or the gradients of the
    two models, `original` and `unlearned` `[n, d]`. All files together have one row for each sample, in order.

    Args:
        folder: The folder of the files, or a single file.
        samples: The samples whose gradient differences the files hold.

    Raises:
        OracleError: A file has another format, or the numbers of rows and samples differ.
    """

    def __init__(self, folder: Path, samples: SampleSet) -> None:
        """Index the rows of the files by their samples."""
        self._files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else [folder]
        if not self._files:
            raise OracleError(f"{folder} holds no .safetensors files. Put the precomputed gradients there.")
        self._places: list[tuple[Path, int]] = []
        dimensions = set()
        for path in self._files:
            count, dimension = _shape(path)
            self._places += [(path, row) for row in range(count)]
            dimensions.add(dimension)
        if len(dimensions) > 1 or len(self._places) != len(samples):
            raise OracleError(
                f"{folder} holds {len(self._places):,} vectors of length {sorted(dimensions)} for {len(samples):,} "
                "auxiliary samples. Supply one vector for each sample, in the same order, all of the same length."
            )
        self._dimension = dimensions.pop()
        keys = map(sample_key, samples.inputs, samples.labels)
        self._rows = {key: row for row, key in enumerate(keys)}

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._dimension

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all files, in hexadecimal."""
        return sha256("\n".join(map(file_hash, self._files)).encode()).hexdigest()

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the gradient differences of samples that the files hold; see `Oracle`.

        Raises:
            OracleError: A sample is not among them, or its vector is not finite.
        """
        for start in range(0, len(images), _CHUNK):
            rows = slice(start, start + _CHUNK)
            keys = list(map(sample_key, images[rows], labels[rows]))
            missing = sum(key not in self._rows for key in keys)
            if missing:
                raise OracleError(
                    f"{missing} of {len(keys)} samples have no precomputed gradient. Only the auxiliary samples can be "
                    "queried."
                )
            yield self._read([self._places[self._rows[key]] for key in keys])

    def _read(self, places: list[tuple[Path, int]]) -> Tensor:
        vectors = torch.empty(len(places), self._dimension)
        with ExitStack() as stack:
            opened = {
                path: stack.enter_context(safe_open(path, framework="pt"))  # pyright: ignore[reportPrivateImportUsage]
                for path in dict.fromkeys(path for path, _ in places)
            }
            for row, (path, stored) in enumerate(places):
                file = opened[path]
                # safe_open's handle supports keys(), but not the operator `in`.
                if "vectors" in file.keys():  # noqa: SIM118
                    vectors[row] = file.get_slice("vectors")[stored]
                else:
                    before, after = (file.get_slice(name)[stored] for name in _PAIR)
                    vectors[row] = before - after
        return check_answer(vectors, len(places), self._dimension)


def _shape(path: Path) -> tuple[int, int]:
    # Opening a named pipe would block forever.
    if not path.is_file():
        raise OracleError(f"{path} is not a regular file. Replace it with a file of precomputed gradients.")
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            names = set(file.keys())
            expected = ("vectors",) if "vectors" in names else _PAIR
            shapes = {tuple(file.get_slice(name).get_shape()) for name in expected if name in names}
            dtypes = {file.get_slice(name).get_dtype() for name in expected if name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise OracleError(
            f"{path} is not a complete safetensors file ({error}). Download or create it again."
        ) from error
    shape = next(iter(shapes), ())
    if (
        not names.issuperset(expected)
        or len(shapes) > 1
        or len(shape) != 2
        or 0 in shape
        or not dtypes <= {"F16", "BF16", "F32", "F64"}
    ):
        raise OracleError(
            f"{path} holds {sorted(names)[:5]} with shapes {sorted(shapes)}. It must hold floating-point 'vectors' "
            "[n, d], or 'original' and 'unlearned' [n, d]."
        )
    return shape[0], shape[1]
