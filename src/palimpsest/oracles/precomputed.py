"""An oracle that was asked before: gradient differences of the auditor's own images, in files."""

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
    """Answers from a folder of safetensors files, taken in the order of their names.

    Each holds `vectors` `[n, d]`, gradient differences, as `palimpsest prove` writes them; or `original` and
    `unlearned` `[n, d]`, the two models' gradients. Together they have a row for each of the images, in their order.

    Args:
        folder: The files' folder, or one file.
        samples: What was asked about.

    Raises:
        OracleError: A file is not of this form, or there are more or fewer rows than images.
    """

    def __init__(self, folder: Path, samples: SampleSet) -> None:
        self._files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else [folder]
        if not self._files:
            raise OracleError(f"{folder} holds no .safetensors files: put the precomputed gradients there.")
        self._places: list[tuple[Path, int]] = []
        dimensions = set()
        for path in self._files:
            count, dimension = _shape(path)
            self._places += [(path, row) for row in range(count)]
            dimensions.add(dimension)
        if len(dimensions) > 1 or len(self._places) != len(samples):
            raise OracleError(
                f"{folder} holds {len(self._places):,} vectors of {sorted(dimensions)} numbers for {len(samples):,} "
                "auxiliary images: give one vector for each image, in their order, all of one length."
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
        """A hash of all files, in hexadecimal."""
        return sha256("\n".join(map(file_hash, self._files)).encode()).hexdigest()

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of samples that were asked about before; see `Oracle`.

        Raises:
            OracleError: A sample was not, or its vector is not finite.
        """
        for start in range(0, len(images), _CHUNK):
            rows = slice(start, start + _CHUNK)
            keys = list(map(sample_key, images[rows], labels[rows]))
            strangers = sum(key not in self._rows for key in keys)
            if strangers:
                raise OracleError(
                    f"{strangers} of {len(keys)} samples have no precomputed gradient: only the auxiliary images "
                    "can be asked about."
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
                # The opened file is no mapping: it has keys, and can't be asked whether one is among them.
                if "vectors" in file.keys():  # noqa: SIM118
                    vectors[row] = file.get_slice("vectors")[stored]
                else:
                    before, after = (file.get_slice(name)[stored] for name in _PAIR)
                    vectors[row] = before - after
        return check_answer(vectors, len(places), self._dimension)


def _shape(path: Path) -> tuple[int, int]:
    # A pipe under a file's name would be waited for without end.
    if not path.is_file():
        raise OracleError(f"{path} is no regular file: put the precomputed gradients there.")
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            names = set(file.keys())
            wanted = ("vectors",) if "vectors" in names else _PAIR
            shapes = {tuple(file.get_slice(name).get_shape()) for name in wanted if name in names}
            kinds = {file.get_slice(name).get_dtype() for name in wanted if name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise OracleError(
            f"{path} is not a whole safetensors file ({error}): fetch or make it again."
        ) from error
    shape = next(iter(shapes), ())
    if (
        not names.issuperset(wanted)
        or len(shapes) > 1
        or len(shape) != 2
        or 0 in shape
        or not kinds <= {"F16", "BF16", "F32", "F64"}
    ):
        raise OracleError(
            f"{path} holds {sorted(names)[:5]} of shapes {sorted(shapes)}: it must hold floating-point 'vectors' "
            "[n, d], or 'original' and 'unlearned' [n, d]."
        )
    return shape[0], shape[1]
