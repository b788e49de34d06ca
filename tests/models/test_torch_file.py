import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from palimpsest.errors import CheckpointError
from palimpsest.models.torch_file import read_torch_file


def save(folder: Path, stored: object, **settings: bool) -> Path:
    path = folder / "a.pt"
    torch.save(stored, path, **settings)
    return path


def save_with_pickle(folder: Path, description: bytes) -> Path:
    """Write a file of `torch.save` with another pickle and valid checksums."""
    original, path = save(folder, {"a": torch.ones(2)}), folder / "b.pt"
    with zipfile.ZipFile(original) as archive, zipfile.ZipFile(path, "w") as other:
        for entry in archive.infolist():
            other.writestr(
                entry.filename, description if entry.filename.endswith("data.pkl") else archive.read(entry)
            )
    return path


def test_reads_what_torch_saved(tmp_path: Path) -> None:
    stored = OrderedDict(
        a=torch.arange(6.0).view(2, 3).t(),
        b=torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)),
        c={"epoch": 3, "rates": [0.1, None, "x"], "shape": torch.Size([1, 2])},
    )
    read = read_torch_file(save(tmp_path, stored))
    assert isinstance(read, OrderedDict)
    assert torch.equal(read["a"], stored["a"])
    assert torch.equal(read["b"], stored["b"])
    assert read["c"] == stored["c"]


def test_reads_a_rewritten_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(save(tmp_path, {"a": torch.ones(2)})) as archive:
        description = next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    assert read_torch_file(save_with_pickle(tmp_path, description)).keys() == {"a"}  # type: ignore[attr-defined]


def test_rejects_the_format_before_torch_1_6(tmp_path: Path) -> None:
    path = save(tmp_path, {"a": torch.ones(2)}, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"since version 1\.6"):
        read_torch_file(path)


NAME = b"x" * 100_000
DOUBLED = b"K\x01" + b"".join(b"q%cr%c\x00\x00\x00h%c\x86" % (i, i, i) for i in range(60))


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(b"\x80\x02c" + NAME + b"\n" + NAME + b"\n.", id="a long name"),
        pytest.param(b"\x80\x02(X\xa0\x86\x01\x00" + NAME + b"tR.", id="a call of a long text"),
        # Each pair holds the previous pair twice, so that its repr would have 2^60 parts.
        pytest.param(b"\x80\x02" + DOUBLED + b")R.", id="a call of pairs of pairs"),
        pytest.param(b"\x80\x02K\x01r\xff\xff\xff\xff)R.", id="a memo of four billion entries"),
        pytest.param(b"\x80\x02]" + b"(" * 1000, id="no end"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_rejects_hostile_pickles_quickly(description: bytes, tmp_path: Path) -> None:
    path = save_with_pickle(tmp_path, description)
    start = time.process_time()
    with pytest.raises(CheckpointError, match=r"can't be read|holds more than tensors"):
        read_torch_file(path)
    assert time.process_time() - start < 1
