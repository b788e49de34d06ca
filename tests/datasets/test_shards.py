import json
import shutil
from pathlib import Path, PurePath

import pytest
import torch
from tests.support.warnings import Warnings

from palimpsest.datasets import find_source
from palimpsest.datasets.shards import find_shards, group_shards, split_name
from palimpsest.errors import DatasetError
from palimpsest.progress import with_callbacks


@pytest.fixture
def shards(tmp_path, encode, pictures, write_parquet):
    """Function that writes a shard of four labeled images for each of the given paths."""

    def write(*names: str) -> Path:
        for seed, name in enumerate(names):
            path = write_parquet([encode(pixels) for pixels in pictures(4, seed=seed)], [0, 1, 2, seed % 3])
            target = tmp_path / "set" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
        return tmp_path / "set"

    return write


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "test-00000-of-00001.parquet"),
        ("data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"),
        ("train.parquet", "val.parquet", "test.parquet"),
        ("my_training_set.parquet", "my_eval_set.parquet"),
        ("train/0000.parquet", "train/0001.parquet", "dev/0000.parquet"),
        (
            "data/train-00000-of-00001-0123456789abcdef.parquet",
            "data/test-00000-of-00001-0123456789abcdef.parquet",
        ),
    ],
)
def test_splits_and_rows_are_those_of_hugging_face(shards, names: tuple[str, ...], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = shards(*names)
    source = find_source(str(folder))
    reference = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert set(source.splits) == set(reference)
    for split in source.splits:
        images, rows = source.read(split), reference[split].cast_column("image", datasets.Image())
        assert images.labels.tolist() == rows["label"]
        for image, row in zip(images.images, rows, strict=True):
            pixels = torch.tensor(list(row["image"].convert("RGB").tobytes())).view(6, 6, 3)
            assert torch.equal(image.permute(1, 2, 0) * 255, pixels.float())


def test_one_split_is_divided_like_a_single_file(shards) -> None:
    folder = shards("train-00000-of-00002.parquet", "train-00001-of-00002.parquet")
    (folder / "README.md").touch()
    warnings = Warnings()
    with with_callbacks(warnings):
        for name in (str(folder), f"{folder}/train-*.parquet"):
            source = find_source(name)
            everything = source.read_all()
            parts = [source.read(split) for split in ("train", "test")]
            assert [len(part) for part in (everything, *parts)] == [8, *map(source.count, ("train", "test"))]
            assert sum(len(part) for part in parts) == 8
            assert all(
                any(torch.equal(image, other) for other in everything.images) for image in parts[1].images
            )
    assert everything.reading is not None
    assert json.loads(everything.reading.to_json())["orientation"] == "apply"
    assert {message.partition(": ")[2] for message in warnings.messages} == {
        "1 files were skipped that are not parquet files."
    }


def test_a_missing_shard_is_named(shards) -> None:
    folder = shards("train-00000-of-00003.parquet", "train-00002-of-00003.parquet")
    with pytest.raises(DatasetError, match="2 of the 3 shards of its train split: number 1 is missing"):
        find_source(str(folder))


def test_a_link_out_of_the_folder_is_refused(shards, tmp_path: Path) -> None:
    folder = shards("train.parquet")
    shutil.copy(folder / "train.parquet", tmp_path / "secret.parquet")
    (folder / "test.parquet").symlink_to(tmp_path / "secret.parquet")
    with pytest.raises(DatasetError, match="link that leads out"):
        find_shards(folder)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("public.parquet", "public"),
        ("public-00000-of-00001.parquet", "public"),
        ("a/public/0000.parquet", "public"),
        ("0000.parquet", "train"),
        ("testimony.parquet", "testimony"),
    ],
)
def test_other_names_are_splits_of_their_own(path: str, split: str) -> None:
    assert split_name(PurePath(path)) == split
    assert group_shards([path], "set") == {split: [path]}
