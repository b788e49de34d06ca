import shutil

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from tests.support.without import without

from palimpsest.datasets.hub import PUBLISHED, PublishedSet
from palimpsest.errors import DatasetError, MissingDependencyError


@pytest.fixture
def hub(monkeypatch, mirror):
    """Requests to a fake hub that serves the mirror's files in the hub's layout."""
    requests = []

    def download(repository, file, *, repo_type, local_files_only=False):
        requests.append((repository, file, repo_type, local_files_only))
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        split = file.split("/")[-1].split("-")[0]
        return str(mirror / repository / f"{split}.parquet")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return requests


@pytest.mark.usefixtures("no_network")
def test_does_not_download_what_the_mirror_has(mirror, hub):
    source = PublishedSet("cifar10", mirror)
    train = source.read("train")
    assert (source.count("train"), len(train), train.shape, train.classes) == (30, 30, (3, 8, 8), 10)
    assert hub == []


def test_downloads_what_the_mirror_lacks(tmp_path, mirror, hub):
    empty = tmp_path / "empty"
    empty.mkdir()
    for data_dir in (empty, None):
        hub.clear()
        downloaded = PublishedSet("cifar10", data_dir).read("test")
        assert downloaded.fingerprint == PublishedSet("cifar10", mirror).read("test").fingerprint
        file = "plain_text/test-00000-of-00001.parquet"
        assert {request[:3] for request in hub} == {("uoft-cs/cifar10", file, "dataset")}


def test_tries_the_cache_before_the_network(monkeypatch, mirror):
    def read_cache(repository, file, *, repo_type, local_files_only=False):
        assert local_files_only
        return str(mirror / repository / "test.parquet")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", read_cache)
    assert PublishedSet("mnist", None).count("test") == 20


@pytest.mark.parametrize(
    "failure",
    [ConnectionResetError("Connection reset by peer"), TimeoutError(), RuntimeError("first\nsecond")],
)
def test_a_failed_download_suggests_a_remedy(monkeypatch, failure):
    def fail(*arguments, local_files_only=False, **settings):
        raise LocalEntryNotFoundError("not in the cache") if local_files_only else failure

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(DatasetError) as caught:
        PublishedSet("fashion_mnist", None).read("train")
    message = str(caught.value)
    assert "training" not in message
    assert "\n" not in message
    assert "huggingface.co/datasets/zalando-datasets/fashion_mnist" in message
    assert "run the same command again" in message
    assert "--data-dir with a folder that holds zalando-datasets/fashion_mnist/train.parquet" in message


def test_does_not_catch_an_interrupt(monkeypatch):
    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("huggingface_hub.hf_hub_download", interrupt)
    with pytest.raises(KeyboardInterrupt):
        PublishedSet("mnist", None).count("train")


def test_lfw_requires_a_mirror(hub, mirror):
    with pytest.raises(DatasetError, match=r"lfw is not on the hub: pass --data-dir .* lfw/train.parquet"):
        PublishedSet("lfw", None).count("train")
    assert hub == []
    assert PublishedSet("lfw", mirror).splits == ("train", "test", "public")


def test_lfw_counts_classes_over_both_splits(tmp_path, encode, pictures, write_parquet):
    image = encode(pictures(1)[0])
    write_parquet([image] * 3, [0, 1, 2], path=tmp_path / "lfw" / "train.parquet")
    write_parquet([image] * 2, [0, 4], path=tmp_path / "lfw" / "test.parquet")
    assert PublishedSet("lfw", tmp_path).read("train").classes == 5


def test_public_images_have_label_zero(mirror):
    public = PublishedSet("lfw", mirror).read("public")
    assert public.labels.tolist() == [0] * 5
    assert public.classes == 4


def test_reads_a_mirror_in_the_layout_of_the_hub(tmp_path, mirror):
    copy = tmp_path / "copy" / "ylecun" / "mnist" / "mnist"
    copy.mkdir(parents=True)
    shutil.copy(mirror / "ylecun/mnist/train.parquet", copy / "train-00000-of-00001.parquet")
    assert PublishedSet("mnist", tmp_path / "copy").count("train") == 40


def test_rejects_an_incomplete_mirror_without_downloading(mirror, hub):
    (mirror / "ylecun/mnist/test.parquet").unlink()
    with pytest.raises(DatasetError, match=r"mnist lacks test.parquet\. Complete the mirror"):
        PublishedSet("mnist", mirror).count("test")
    assert hub == []


def test_rejects_a_missing_data_dir(tmp_path, hub):
    with pytest.raises(DatasetError, match=r"--data-dir .*absent is not a folder"):
        PublishedSet("mnist", tmp_path / "absent").count("test")
    assert hub == []


def test_selects_rows_and_scales(mirror):
    source, rows = PublishedSet("mnist", mirror), torch.tensor([1, 30])
    assert torch.equal(source.read("train", rows=rows).images, source.read("train").images[rows])
    assert torch.equal(source.read("train", rows=rows).labels, source.read("train").labels[rows])
    assert source.read("train", size=(9, 5)).shape == (1, 9, 5)


def test_rejects_a_label_beyond_the_published_classes(tmp_path, encode, pictures, write_parquet):
    write_parquet(
        [encode(pictures(1)[0])], [10], path=tmp_path / "uoft-cs/cifar10/train.parquet", image="img"
    )
    with pytest.raises(DatasetError, match="has label 10, outside 0 to 9"):
        PublishedSet("cifar10", tmp_path).read("train")


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("mnist", (1, 28, 28), 10),
        ("fashion_mnist", (1, 28, 28), 10),
        ("cifar10", (3, 32, 32), 10),
        ("cifar100", (3, 32, 32), 100),
        ("lfw", (3, 64, 64), 62),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_reads_the_real_sets(real_mirror, name, shape, classes):
    source = PublishedSet(name, real_mirror)
    for split in source.splits:
        count = source.count(split)
        assert count <= PUBLISHED[name].sizes.get(split, count)
        part = source.read(split, rows=torch.arange(0, count, max(1, count // 50)))
        assert part.shape == shape
        assert part.classes == classes
        assert 0.05 < part.images.mean() < 0.8
        assert len(part.labels.unique()) > 8 or split == "public"


@pytest.mark.usefixtures("no_network")
def test_reads_a_whole_real_split(real_mirror):
    test = PublishedSet("mnist", real_mirror).read("test")
    assert test.images.shape == (10_000, 1, 28, 28)
    # The published mean and standard deviation of MNIST.
    assert abs(float(test.images.mean()) - 0.1325) < 0.001
    assert abs(float(test.images.std()) - 0.3105) < 0.001


def test_a_download_without_the_hubs_client_names_the_extra(monkeypatch):
    without("huggingface_hub", monkeypatch)
    with pytest.raises(MissingDependencyError, match=r"huggingface_hub, .*'palimpsest-audit\[datasets\]'"):
        PublishedSet("fashion_mnist", None).read("train")
