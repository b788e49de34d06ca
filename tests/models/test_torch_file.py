import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from palimpsest.errors import CheckpointError
from palimpsest.models.torch_file import read_torch_file


def saved(folder: Path, stored: object, **settings: bool) -> Path:
    path = folder / "a.pt"
    torch.save(stored, path, **settings)
    return path


def described(folder: Path, description: bytes) -> Path:
    """A file of `torch.save` whose description is another one, with checksums as they should be."""
    whole, path = saved(folder, {"a": torch.ones(2)}), folder / "b.pt"
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w") as other:
        for entry in archive.infolist():
            other.writestr(
                entry.filename, description if entry.filename.endswith("data.pkl") else archive.read(entry)
            )
    return path


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    stored = OrderedDict(
        a=torch.arange(6.0).view(2, 3).t(),
        b=torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)),
        c={"epoch": 3, "rates": [0.1, None, "x"], "shape": torch.Size([1, 2])},
    )
    read = read_torch_file(saved(tmp_path, stored))
    assert isinstance(read, OrderedDict)
    assert torch.equal(read["a"], stored["a"])
    assert torch.equal(read["b"], stored["b"])
    assert read["c"] == stored["c"]


def test_a_rewritten_archive_is_read_as_well(tmp_path: Path) -> None:
    with zipfile.ZipFile(saved(tmp_path, {"a": torch.ones(2)})) as archive:
        description = next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    assert read_torch_file(described(tmp_path, description)).keys() == {"a"}  # type: ignore[attr-defined]


def test_the_format_before_the_archives_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.ones(2)}, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"since version 1\.6"):
        read_torch_file(path)


NAME = b"x" * 100_000
DOUBLED = b"K\x01" + b"".join(b"q%cr%c\x00\x00\x00h%c\x86" % (i, i, i) for i in range(60))


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(b"\x80\x02c" + NAME + b"\n" + NAME + b"\n.", id="a long name"),
        pytest.param(b"\x80\x02(X\xa0\x86\x01\x00" + NAME + b"tR.", id="a call of a long text"),
        # Each pair holds the one before twice: written out, it would have 2^60 parts.
        pytest.param(b"\x80\x02" + DOUBLED + b")R.", id="a call of pairs of pairs"),
        pytest.param(b"\x80\x02K\x01r\xff\xff\xff\xff)R.", id="memory for four billion places"),
        pytest.param(b"\x80\x02]" + b"(" * 1000, id="no end"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_descriptions_that_would_keep_the_reader_busy_are_refused_at_once(
    description: bytes, tmp_path: Path
) -> None:
    path = described(tmp_path, description)
    start = time.process_time()
    with pytest.raises(CheckpointError, match=r"can't be read|holds more than tensors"):
        read_torch_file(path)
    assert time.process_time() - start < 1
