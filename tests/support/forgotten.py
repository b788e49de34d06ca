"""Detection of forgotten samples in tensors, arrays, bytes and files, in any representation."""

import io
import stat
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_ALIKE = 1e-3
"""Largest difference from a correlation of 1 at which windows are the same image; rounding to 8 bits causes 1e-5."""
LIBRARIES = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
"""Folders of third-party code, which also contain fonts and other data."""
_WINDOWS = 2**15
_ELEMENTS = [np.dtype(kind) for kind in ("u1", "i2", "f2", "i4", "f4", "i8", "f8")]
_LARGEST = 2**26


class Forgotten:
    """Samples that must not be found anywhere.

    A sample is found if its flattened values are consecutive in the searched object, for example in a copy, a slice or
    a batch, as floating-point numbers or integers of any size.

    Args:
        samples: `[n, ...]`, none of them constant.
        affine: Also find samples whose values were scaled or shifted, as by normalization. Use False if a proof
            legitimately contains multiples of the samples, as the gradients of a first linear layer do; then only the
            values themselves and 255 times the values are found.
    """

    def __init__(self, samples: Tensor, *, affine: bool = True) -> None:
        self._samples = samples.detach().flatten(1).double()
        self._centered = self._samples - self._samples.mean(1, keepdim=True)
        self._affine = affine
        assert (self._centered.norm(dim=1) > 0).all(), "a constant sample would be found anywhere"

    @property
    def size(self) -> int:
        """Number of values of a sample."""
        return self._samples.shape[1]

    def in_tensor(self, values: Tensor) -> bool:
        """Return whether a sample is in a tensor, or elsewhere in the memory that the tensor views."""
        if values.is_meta or values.numel() == 0:
            return False
        values = values.detach()
        if values.layout != torch.strided:
            values = values.to_dense()
        values = torch.view_as_real(values) if values.is_complex() else values
        return any(self._in_row(form.cpu().double()) for form in _forms(values))

    def in_bytes(self, content: bytes) -> bool:
        """Return whether a sample is in bytes, as numbers of any type, in a zip archive or in an image file."""
        content = bytes(content)
        for element in _ELEMENTS:
            for start in range(element.itemsize):
                count = (len(content) - start) // element.itemsize
                if count >= self.size:
                    numbers = np.frombuffer(content, element, count, start)
                    with np.errstate(invalid="ignore"):
                        row = torch.from_numpy(numbers.astype(np.float64))
                    if self._in_row(row):
                        return True
        return any(map(self.in_bytes, _unpacked(content)))

    def in_file(self, path: Path) -> bool:
        """Return whether a sample is in a file, packed or not."""
        assert path.stat().st_size <= _LARGEST, f"{path} is too large to be searched"
        return self.in_bytes(path.read_bytes())

    def in_folder(self, folder: Path) -> list[Path]:
        """Return the files in a folder, or the file itself, that contain a sample."""
        files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        return [path for path in files if path.is_file() and self.in_file(path)]

    def in_open_files(self) -> list[str]:
        """Return this process's open regular files that contain a sample."""
        return [name for name, content in open_files() if self.in_bytes(content)]

    def _in_row(self, row: Tensor) -> bool:
        """Return whether a sample is among consecutive values, `[m]` float64."""
        row = row.nan_to_num(0, 0, 0)
        starts = range(0, len(row) - self.size + 1, _WINDOWS)
        return any(self._in_windows(row[start : start + _WINDOWS + self.size - 1]) for start in starts)

    def _in_windows(self, row: Tensor) -> bool:
        windows = row.unfold(0, self.size, 1).contiguous()
        sums, squares = windows.sum(1), windows.square().sum(1)
        kernels = self._centered if self._affine else self._samples
        products, norms = windows @ kernels.T, kernels.square().sum(1)
        if not self._affine:
            return any(
                bool(
                    (
                        squares[:, None] - 2 * scale * products + scale**2 * norms
                        < (_ALIKE * scale) ** 2 * norms
                    ).any()
                )
                for scale in (1, 255)
            )
        # A window that is constant up to rounding is not an image.
        spread = squares - sums.square() / self.size
        changing = spread > 1e-9 * squares
        scale = (spread.clamp(min=0)[:, None] * norms).sqrt()
        return bool(((products.abs() > (1 - _ALIKE) * scale) & changing[:, None]).any())


def open_files() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of this process's open regular files, including removed ones."""
    for place in Path("/proc/self/fd").iterdir():
        # The descriptor of the listing itself is closed by now.
        with suppress(FileNotFoundError):
            status, target = place.stat(), str(place.readlink())
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_size <= _LARGEST
                and not target.startswith(LIBRARIES)
            ):
                yield target, place.read_bytes()


def _forms(values: Tensor) -> Iterator[Tensor]:
    """Yield rows of numbers: a tensor's whole memory, its values in order, and those with the last dimension first."""
    whole = torch.empty(0, dtype=values.dtype, device=values.device).set_(values.untyped_storage())
    yield whole
    if not (values.is_contiguous() and whole.numel() >= values.numel()):
        yield values.flatten()
    if values.dim() > 1 and values.shape[-1] > 1:
        yield values.movedim(-1, 0).flatten()


def _unpacked(content: bytes) -> Iterator[bytes]:
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    with suppress(OSError), Image.open(io.BytesIO(content)) as image:
        yield np.asarray(image).tobytes()
