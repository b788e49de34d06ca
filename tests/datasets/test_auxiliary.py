import pytest
import torch
from tests.support.warnings import Warnings

from palimpsest.config import DataConfig
from palimpsest.datasets import load_data
from palimpsest.datasets.overlap import Overlap
from palimpsest.errors import DatasetError
from palimpsest.progress import with_callbacks


def rows_of(samples, whole):
    """The row of each image in a set, found by comparing every pair."""
    return [
        next(row for row, other in enumerate(whole.images) if torch.equal(other, image))
        for image in samples.images
    ]


def load(name, **settings):
    return load_data(DataConfig(name=str(name), **settings), clients=2, seed=1)


@pytest.fixture
def with_copies(tmp_path, pictures, write_folder):
    """A folder of 30 training and 20 test images; 3 test images are training images, and 2 repeat another one."""
    train, test = pictures(30, side=8), pictures(15, side=8, seed=1)
    write_folder(tmp_path / "train", {"a": train[:15], "b": train[15:]})
    write_folder(tmp_path / "test", {"a": [*test, train[0], train[16]], "b": [train[20], test[0], test[1]]})
    return tmp_path


def test_copies_of_training_images_are_left_out(with_copies):
    data = load(with_copies, auxiliary_size=12)
    images = torch.cat([data.auxiliary.images, data.held_out.images])
    assert (len(data.test), len(data.auxiliary), len(data.held_out)) == (20, 12, 3)
    assert len(images.unique(dim=0)) == 15
    assert len(torch.cat([images, data.train.images]).unique(dim=0)) == 45
    assert data.overlap == Overlap(20, 30, exact=3, near=0, repeated=2, remaining=0, removed=True)
    assert data.notes == tuple(data.overlap.sentences())


def test_other_images_keep_their_order(with_copies):
    kept, removed = (
        load(with_copies, auxiliary_size=12, auxiliary_overlap=action) for action in ("keep", "remove")
    )
    before, after = (rows_of(data.auxiliary, data.test) for data in (kept, removed))
    common = [row for row in dict.fromkeys(before) if row in after]
    assert len(common) < len(before)
    assert common == after[: len(common)]


def test_kept_copies_are_counted(with_copies):
    data = load(with_copies, auxiliary_size=12, auxiliary_overlap="keep")
    copies = sum(
        any(torch.equal(image, other) for other in data.train.images) for image in data.auxiliary.images
    )
    assert copies > 0
    assert data.overlap == Overlap(20, 30, exact=3, near=0, repeated=2, remaining=copies, removed=False)


def test_removed_copies_are_announced(with_copies):
    with with_callbacks(announced := Warnings()):
        data = load(with_copies, auxiliary_size=12)
    assert announced.messages == data.overlap.sentences()
    with with_callbacks(announced := Warnings()):
        load("digits")
    assert announced.messages == []


def test_rejects_a_test_split_of_copies(tmp_path, pictures, write_folder):
    for split in ("train", "test"):
        write_folder(tmp_path / split, {"a": pictures(4), "b": pictures(4, seed=1)})
    with pytest.raises(DatasetError, match=r"0 test images besides 8 copies of .*auxiliary_overlap to keep"):
        load(tmp_path)
    kept = load(tmp_path, auxiliary_overlap="keep")
    assert kept.overlap.remaining == len(kept.auxiliary)


def test_training_images_of_another_set_are_left_out(with_copies, tmp_path, pictures, write_folder):
    train, others = pictures(30, side=8), pictures(20, side=8, seed=2)
    mixed = write_folder(tmp_path / "mixed", {"a": [*train[:5], *others], "b": [*others[:3], *others[:3]]})
    data = load(with_copies, auxiliary=str(mixed), auxiliary_size=100)
    assert len(data.auxiliary) == len(data.auxiliary.images.unique(dim=0)) == 20
    assert data.overlap == Overlap(51, 30, exact=8, near=0, repeated=8, remaining=0, removed=True)
    assert "The auxiliary set has 20 images of mixed instead of the requested 100." in data.notes
    kept = load(with_copies, auxiliary=str(mixed), auxiliary_size=100, auxiliary_overlap="keep")
    assert len(kept.auxiliary) == 31
    assert kept.overlap == Overlap(51, 30, exact=8, near=0, repeated=8, remaining=5, removed=False)
    assert "the attacker has 5 copies of clients' images" in kept.notes[-1]


def test_held_out_images_are_no_copies_beside_another_set(with_copies):
    data = load(with_copies, auxiliary="digits", auxiliary_size=20)
    assert len(data.held_out) == len(data.held_out.images.unique(dim=0)) == 15
    assert len(load(with_copies, auxiliary="digits", auxiliary_overlap="keep").held_out) == 20


def test_rejects_another_set_of_training_images(with_copies, tmp_path, pictures, write_folder):
    train = pictures(30, side=8)
    copies = write_folder(tmp_path / "copies", {"a": train[:10], "b": train[10:]})
    with pytest.raises(DatasetError, match=r"All 30 auxiliary images of copies are copies of the clients'"):
        load(with_copies, auxiliary=str(copies))
