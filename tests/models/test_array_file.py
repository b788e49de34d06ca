from pathlib import Path

import numpy as np
import pytest
import torch

from palimpsest.errors import CheckpointError
from palimpsest.models.array_file import read_npz


def test_arrays_without_names_keep_their_order(tmp_path: Path) -> None:
    arrays = [np.full((2,), index, dtype=np.float32) for index in range(12)]
    np.savez(tmp_path / "a.npz", *arrays)
    read = read_npz(tmp_path / "a.npz")
    assert [float(one[0]) for one in read] == list(range(12))


def test_named_arrays_keep_their_names(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{"fc.weight": np.ones((2, 3)), "count": np.int64(4)})
    read = read_npz(tmp_path / "a.npz")
    assert isinstance(read, dict)
    assert read["fc.weight"].shape == (2, 3)
    assert read["count"].dtype == torch.int64


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.array([{"a": 1}], dtype=object))
    with pytest.raises(CheckpointError, match=r"can't be read as an \.npz archive"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"text"])
def test_damaged_archives_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="can't be read"):
        read_npz(tmp_path / "a.npz")


def test_texts_bombs_and_missing_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", a=np.array(["x"]))
    with pytest.raises(CheckpointError, match="'a' is not an array of numbers"):
        read_npz(tmp_path / "text.npz")
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10**7))
    with pytest.raises(CheckpointError, match="would expand"):
        read_npz(tmp_path / "bomb.npz")
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        read_npz(tmp_path / "none.npz")
