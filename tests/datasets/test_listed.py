from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from palimpsest.datasets import ImageList, find_source
from palimpsest.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for row in range(6):
        Image.fromarray(np.full((4, 4), 10 * row, np.uint8)).save(tmp_path / "deep" / f"{row}.png")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "metadata.csv").write_text(text, encoding="utf-8")
    return folder / "metadata.csv"


def test_keeps_the_order_of_the_lines(folder: Path) -> None:
    table = write(folder, "label,note,file_name\n2,x,deep/5.png\n0,y,deep/0.png\n2,z,deep/3.png\n")
    images = find_source(str(table)).read_all()
    assert images.labels.tolist() == [2, 0, 2]
    assert images.classes == 3
    assert (images.images[:, 0, 0, 0] * 255).round().tolist() == [50, 0, 30]
    assert find_source(str(folder)) == ImageList(table)
    assert ImageList(table).read_all().name == folder.name


def test_reads_a_repeated_file_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    open_image = Image.open
    monkeypatch.setattr(Image, "open", lambda file, **rest: opened.append(file) or open_image(file, **rest))
    lines = [f"deep/{row % 2}.png,{row % 2}" for row in range(50)]
    images = ImageList(write(folder, "\n".join(["file_name,label", *lines]))).read_all()
    assert (images.images[:, 0, 0, 0] * 255).round().tolist() == [0, 10] * 25
    assert len(opened) == 2


def test_the_two_splits_form_the_whole_set(folder: Path) -> None:
    lines = [f"deep/{row}.png,{row % 2}" for row in range(6)]
    source = ImageList(write(folder, "\n".join(["file_name,label", *lines])))
    parts = [source.read(split) for split in source.splits]
    assert [len(part) for part in parts] == [source.count(split) for split in source.splits]
    sums = torch.cat([part.images for part in parts]).flatten(1).sum(1).sort().values
    assert torch.equal(sums, source.read_all().images.flatten(1).sum(1).sort().values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"has the columns \(none\)"),
        ("file,label\ndeep/0.png,1\n", "columns file, label"),
        ("file_name,label\n", "names no images"),
        ("file_name,label\ndeep/0.png,1\ndeep/9.png,1\n", "Line 3 .* 'deep/9.png'"),
        ("file_name,label\n../etc/passwd,1\n", "its folder has no such file"),
        ("file_name,label\n/etc/passwd,1\n", "its folder has no such file"),
        ("file_name,label\n,1\n", "its folder has no such file"),
        ("file_name,label\ndeep/0.png,-1\n", "label -1 in row 0"),
        ("file_name,label\ndeep/0.png,cat\n", "label 'cat' in row 0, and it is unknown which number"),
        ("file_name,label\ndeep/0.png\n", "label None"),
        ("file_name,label\ndeep/0.png,99999999999\n", "label 99999999999 in row 0"),
        (f"file_name,label\ndeep/0.png,{10**40}\n", "in row 0"),
        ("file_name,label\ndeep/0.png,0.5\n", "regression"),
        ("file_name,label\ndeep/0.png,0 3\n", "several labels"),
    ],
)
def test_names_an_invalid_line(folder: Path, text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        find_source(str(write(folder, text))).read_all()


def test_rejects_a_file_that_is_not_text(folder: Path) -> None:
    (folder / "metadata.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DatasetError, match="UTF-8"):
        find_source(str(folder)).read_all()
