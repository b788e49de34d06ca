import pytest
import torch

from palimpsest.datasets import dataset_names, find_source, load_images
from palimpsest.errors import DatasetError


def test_names_are_sorted():
    names = dataset_names()
    assert set(names) >= {"cifar10", "cifar100", "digits", "fashion_mnist", "lfw", "mnist"}
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("name", "likely"), [("cifr10", "cifar10"), ("fashion-mnist", "fashion_mnist"), ("digit", "digits")]
)
def test_suggests_a_name_for_an_unknown_one(name, likely):
    with pytest.raises(
        DatasetError, match=f"no data set '{name}': did you mean '{likely}'. Choose one of .*folder"
    ):
        find_source(name)


@pytest.mark.parametrize("name", ["absent.parquet", "some/folder", "/absent", "./mnist"])
def test_rejects_a_missing_path(name):
    with pytest.raises(DatasetError, match=f"no folder, parquet file or CSV table '{name}'"):
        find_source(name)


def test_loads_a_folder_and_a_file(tmp_path, encode, pictures, write_folder, write_parquet):
    folder = write_folder(tmp_path / "zoo", {"a": pictures(5), "b": pictures(5)})
    file = write_parquet([encode(pixels) for pixels in pictures(5)], [0, 0, 1, 1, 1])
    assert len(load_images(str(folder), "train")) == 8
    assert len(load_images(str(file), "test")) == 2


def test_a_known_name_takes_precedence_over_a_folder(tmp_path, monkeypatch, pictures, write_folder):
    write_folder(tmp_path / "digits", {"a": pictures(5)})
    monkeypatch.chdir(tmp_path)
    assert load_images("digits", "train").shape == (1, 8, 8)
    assert load_images("./digits", "train").shape == (3, 6, 6)


def test_image_size_is_a_side_or_height_and_width():
    assert load_images("digits", "test", image_size=12).shape == (1, 12, 12)
    assert load_images("digits", "test", image_size=(6, 9)).shape == (1, 6, 9)


@pytest.mark.parametrize("split", ["public", "validation"])
def test_rejects_a_missing_split(split):
    with pytest.raises(DatasetError, match=f"digits has no '{split}' split"):
        load_images("digits", split)


def test_sources_of_the_same_path_are_equal(tmp_path, mirror, pictures, write_folder):
    folder = write_folder(tmp_path / "zoo", {"a": pictures(2)})
    assert find_source(str(folder)) == find_source(f"{folder}/../zoo")
    assert find_source("mnist", data_dir=mirror) == find_source("mnist", data_dir=mirror / "lfw" / "..")
    assert find_source("mnist", data_dir=mirror) != find_source("cifar10", data_dir=mirror)
    assert find_source("digits") == find_source("digits")


def test_loading_is_deterministic(mirror):
    first, second = (load_images("cifar10", "train", data_dir=mirror) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert first.fingerprint == second.fingerprint
