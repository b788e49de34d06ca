import shutil
from pathlib import Path

import pytest
import torch
from tests.support.without import without

from palimpsest.datasets import find_source
from palimpsest.datasets.parquet import read_images
from palimpsest.errors import DatasetError, MissingDependencyError


@pytest.fixture
def files(tmp_path, encode, pictures, write_parquet):
    """Function that writes a shard of labeled images for each of the given paths in a repository."""

    def write(*names: str) -> Path:
        for seed, name in enumerate(names):
            path = write_parquet([encode(pixels) for pixels in pictures(4, seed=seed)], [0, 1, 2, seed])
            target = tmp_path / "hub" / "acme" / "cats" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
        return tmp_path / "hub"

    return write


def test_joins_the_shards_of_a_split(files):
    names = [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
    ]
    mirror = files(*names)
    source = find_source("hf:acme/cats", data_dir=mirror)
    assert source.splits == ("train", "test")
    assert [source.count(split) for split in source.splits] == [8, 4]
    train = source.read("train")
    folder = mirror / "acme" / "cats" / "data"
    assert torch.equal(train.images, torch.cat([read_images(folder / Path(name).name) for name in names[:2]]))
    assert train.classes == 3
    rows = torch.tensor([1, 3, 4, 7])
    assert torch.equal(source.read("train", rows=rows).images, train.images[rows])
    assert torch.equal(source.read("train", rows=rows).labels, train.labels[rows])
    assert len(source.read_all()) == 12


def test_downloads_the_converted_parquet_files(files, monkeypatch):
    mirror = files("default/train/0000.parquet", "default/validation/0000.parquet") / "acme" / "cats"
    requests = []

    class Api:
        def list_repo_files(self, repository, **options):
            requests.append((repository, options["revision"]))
            return ["README.md", "default/train/0000.parquet", "default/validation/0000.parquet"]

    def download(repository, name, **options):
        requests.append((name, options["revision"]))
        return str(mirror / name)

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    source = find_source("hf:acme/cats")
    assert source.splits == ("train", "validation")
    assert len(source.read("validation")) == 4
    assert requests[0] == ("acme/cats", "refs/convert/parquet")
    assert {revision for _, revision in requests} == {"refs/convert/parquet"}


def test_asks_for_one_of_several_configurations(files):
    mirror = files("small/train/0000.parquet", "large/train/0000.parquet")
    with pytest.raises(
        DatasetError, match=r"configurations large, small\. Name one of them, such as hf:acme/cats/large"
    ):
        find_source("hf:acme/cats", data_dir=mirror).read_all()
    assert len(find_source("hf:acme/cats/small", data_dir=mirror).read_all()) == 4


@pytest.mark.parametrize("name", ["hf:cats", "hf:a/b/c/d", "hf:../cats", "hf:a b/c", "hf:"])
def test_rejects_a_malformed_name(name):
    with pytest.raises(DatasetError, match="hf:owner/name"):
        find_source(name)


def test_names_what_is_missing(files, monkeypatch):
    mirror = files("train.parquet")
    with pytest.raises(DatasetError, match=r"no 'test' split\. It has train"):
        find_source("hf:acme/cats", data_dir=mirror).read("test")
    (mirror / "acme" / "dogs").mkdir()
    with pytest.raises(DatasetError, match="no parquet files"):
        find_source("hf:acme/dogs", data_dir=mirror).count("train")

    class Api:
        def list_repo_files(self, *_, **__):
            raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    with pytest.raises(DatasetError, match=r"no network.*Run the same command again"):
        find_source("hf:acme/horses").count("train")


def test_a_repository_without_the_hubs_client_names_the_extra(monkeypatch):
    without("huggingface_hub", monkeypatch)
    with pytest.raises(MissingDependencyError, match=r"huggingface_hub, .*'palimpsest-audit\[datasets\]'"):
        find_source("hf:owner/set").count("train")
