import time

import numpy as np
import pytest
import torch
from tests.support.images import random_image_set

from palimpsest.config import DataConfig
from palimpsest.datasets import Source, load_data, load_images
from palimpsest.errors import DatasetError


def rows_of(samples, whole):
    """The row of each image in a set, found by comparing every pair."""
    return [
        next(row for row, other in enumerate(whole.images) if torch.equal(other, image))
        for image in samples.images
    ]


@pytest.fixture
def load(mirror):
    def load_from_mirror(clients=3, seed=1, **settings):
        return load_data(
            DataConfig(**{"name": "cifar10", **settings}), clients=clients, seed=seed, data_dir=mirror
        )

    return load_from_mirror


def test_all_sets_come_from_the_splits(load, mirror):
    data = load(auxiliary_size=5)
    assert data.train.fingerprint == load_images("cifar10", "train", data_dir=mirror).fingerprint
    assert data.test.fingerprint == load_images("cifar10", "test", data_dir=mirror).fingerprint
    assert sorted(torch.cat(data.clients).tolist()) == list(range(30))
    auxiliary, held_out = rows_of(data.auxiliary, data.test), rows_of(data.held_out, data.test)
    assert (len(auxiliary), len(held_out)) == (5, 15)
    assert not set(auxiliary) & set(held_out)
    assert torch.equal(data.auxiliary.labels, data.test.labels[auxiliary])
    assert data.notes == (
        "This copy of cifar10 has 30 training images; the published set has 50,000.",
        "This copy of cifar10 has 20 test images; the published set has 10,000.",
    )


def test_class_names_come_from_the_data_set(load, tmp_path, pictures, write_folder):
    assert load().class_names == ()
    folder = write_folder(tmp_path / "pets", {"cat": pictures(8), "ant": pictures(8, seed=1)})
    assert load_data(DataConfig(name=str(folder)), clients=2, seed=1).class_names == ("ant", "cat")


def test_a_tenth_of_the_test_split_is_held_out(load):
    data = load(auxiliary_size=500)
    assert (len(data.auxiliary), len(data.held_out)) == (18, 2)
    assert data.notes[-1] == (
        "The auxiliary set has 18 images instead of the requested 500: "
        "cifar10 has 20 test images, of which 2 are held out."
    )


def test_defaults_to_digits():
    data = load_data(DataConfig(), clients=40, seed=1)
    sizes = (len(data.train), len(data.test), len(data.auxiliary), len(data.held_out), len(data.clients))
    assert sizes == (897, 900, 800, 100, 40)
    assert data.notes == ()


def test_at_most_a_thousand_images_are_held_out(encode, write_parquet):
    image = encode(np.zeros((1, 1)))
    path = write_parquet([image] * 8000, [0] * 8000)
    config = DataConfig(name=str(path), auxiliary_size=100, auxiliary_overlap="keep")
    assert len(load_data(config, clients=2, seed=1).held_out) == 1000


def test_train_size_selects_at_random(load):
    data = load(train_size=12)
    whole = load().train
    rows = rows_of(data.train, whole)
    assert len(rows) == len(set(rows)) == 12
    assert rows != list(range(12))
    assert torch.equal(data.train.labels, whole.labels[rows])
    assert sorted(torch.cat(data.clients).tolist()) == list(range(12))
    assert rows_of(load(train_size=12, seed=2).train, whole) != rows


def test_uses_all_images_if_train_size_exceeds_the_set(load):
    data = load(train_size=100)
    assert len(data.train) == 30
    assert data.notes[0] == "All 30 training images of cifar10 are used, fewer than the requested 100."


def test_auxiliary_images_may_come_from_another_set(load):
    data = load(auxiliary="mnist", auxiliary_size=50)
    assert data.auxiliary.images.shape == (50, 3, 8, 8)
    assert torch.equal(data.auxiliary.images[:, 0], data.auxiliary.images[:, 2])
    assert data.auxiliary.classes == data.train.classes
    assert data.auxiliary.name == "mnist"
    assert len(data.held_out) == 20
    assert data.public is data.auxiliary
    assert data.notes[-1] == (
        "The auxiliary images come from mnist, converted to 3 x 8 x 8. "
        "Their distribution differs from that of cifar10."
    )


def test_auxiliary_color_becomes_gray(load, mirror):
    data = load(name="mnist", auxiliary="cifar10", auxiliary_size=20)
    assert data.auxiliary.shape == (1, 7, 7)
    scaled = load_images("cifar10", "test", data_dir=mirror, image_size=7).images
    red, green, blue = scaled.unbind(dim=1)
    expected = (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)
    torch.testing.assert_close(data.auxiliary.images, expected, atol=0.51 / 255, rtol=0)


def test_labels_of_another_set_are_taken_modulo_the_classes(load):
    data = load(name="lfw", auxiliary="digits", auxiliary_size=40)
    assert data.train.classes == data.auxiliary.classes == 4
    assert data.auxiliary.labels.max() == 3
    assert "The 10 classes of digits are mapped to 4: label modulo 4." in data.notes


def test_uses_all_images_of_a_small_auxiliary_set(load):
    data = load(auxiliary="lfw", auxiliary_size=50)
    assert len(data.auxiliary) == 20
    assert data.notes[-1] == "The auxiliary set has 20 images of lfw instead of the requested 50."


def test_the_same_set_as_auxiliary_means_its_test_split(load):
    assert load(auxiliary="cifar10").fingerprint == load().fingerprint


class Stored(Source):
    """Images in memory, with a public split."""

    def __init__(self, **parts):
        self.parts = parts

    @property
    def splits(self):
        return tuple(self.parts)

    def count(self, split):
        return len(self.parts[split])

    def read(self, split, *, rows=None, size=None):
        return self.parts[split]


def test_public_images_of_clients_are_left_out(monkeypatch):
    train, test, public = (random_image_set(count, seed=count) for count in (30, 20, 10))
    public.images[3] = train.images[7]

    def load(source, **settings):
        monkeypatch.setattr("palimpsest.datasets.federated.find_source", lambda *_, **__: source)
        return load_data(DataConfig(name="stored", **settings), clients=2, seed=1)

    source = Stored(train=train, test=test, public=public)
    data = load(source)
    assert (len(data.public), data.overlap.exact, data.overlap.examined) == (9, 1, 30)
    assert not torch.isin(data.public.images[:, 0, 0, 0], train.images[7, 0, 0, 0]).any()
    kept = load(source, auxiliary_overlap="keep")
    assert (len(kept.public), kept.overlap.remaining) == (10, 1)
    with pytest.raises(DatasetError, match="All 30 public images of noise are copies"):
        load(Stored(train=train, test=test, public=train))


def test_reads_the_public_split_if_there_is_one(load):
    data = load(name="lfw", image_size=6)
    assert data.public.images.shape == (5, 3, 6, 6)
    assert load(auxiliary_size=5).public.fingerprint == load(auxiliary_size=5).auxiliary.fingerprint


def test_image_size_scales_every_set(load):
    data = load(image_size=5, auxiliary="mnist")
    parts = (data.train, data.test, data.auxiliary, data.held_out, data.public)
    assert {part.shape for part in parts} == {(3, 5, 5)}


def test_a_gray_split_is_converted_to_color(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(4, channels=1), "b": pictures(4, channels=1)})
    write_folder(tmp_path / "test", {"a": pictures(4), "b": pictures(4)})
    data = load_data(DataConfig(name=str(tmp_path)), clients=2, seed=1)
    assert data.train.shape == data.test.shape == (3, 6, 6)


def test_rejects_splits_of_different_sizes(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(4)})
    write_folder(tmp_path / "test", {"a": pictures(4, side=7)})
    with pytest.raises(DatasetError, match=r"training images of \[6, 6\] pixels and test images of \[7, 7\]"):
        load_data(DataConfig(name=str(tmp_path)), clients=2, seed=1)
    assert load_data(DataConfig(name=str(tmp_path), image_size=6), clients=2, seed=1).test.shape == (3, 6, 6)


def test_rejects_a_single_test_image(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(4)})
    write_folder(tmp_path / "test", {"a": pictures(1, seed=1)})
    with pytest.raises(DatasetError, match="has 1 test images, but at least two are needed"):
        load_data(DataConfig(name=str(tmp_path)), clients=2, seed=1)


@pytest.mark.parametrize("partition", ["iid", "dirichlet", "pathological"])
def test_passes_settings_to_the_partition(load, partition):
    settings = {"dirichlet": {"alpha": 0.1, "min_samples": 3}, "pathological": {"classes_per_client": 1}}
    data = load(clients=4, partition=partition, **settings.get(partition, {}))
    classes = [len(data.train.labels[rows].unique()) for rows in data.clients]
    assert min(len(rows) for rows in data.clients) >= 3
    assert (max(classes) == 1) == (partition == "pathological")


def test_rejects_more_clients_than_images(load):
    with pytest.raises(DatasetError, match="30 training images are too few for 31 clients"):
        load(clients=31)


def test_depends_on_configuration_and_seed_alone(load):
    before = torch.random.get_rng_state()
    first, again, other = load(), load(), load(seed=2)
    assert first.fingerprint == again.fingerprint
    assert first.train.fingerprint == other.train.fingerprint
    assert first.auxiliary.fingerprint != other.auxiliary.fingerprint
    assert torch.equal(before, torch.random.get_rng_state())


def test_fingerprint_depends_on_the_division(load):
    fingerprints = {load(clients=clients).fingerprint for clients in (2, 3)}
    fingerprints |= {load(partition="dirichlet").fingerprint, load(auxiliary_size=3).fingerprint}
    assert len(fingerprints) == 4


def test_a_mirror_needs_no_network(load, no_network):
    assert len(load(auxiliary="mnist").auxiliary) == 60
    assert len(load(name="lfw").public) == 5


@pytest.mark.parametrize(
    ("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32)), ("lfw", (3, 64, 64))]
)
def test_real_sets(real_mirror, no_network, name, shape):
    config = DataConfig(name=name, train_size=400, auxiliary_size=300)
    data = load_data(config, clients=40, seed=1, data_dir=real_mirror)
    assert data.train.shape == data.auxiliary.shape == data.public.shape == shape
    assert (len(data.train), len(data.auxiliary)) == (400, 300)
    copies = data.overlap.copied + data.overlap.repeated
    assert copies < 0.01 * len(data.test)
    assert 0 <= min(1000, len(data.test) - 300) - len(data.held_out) <= copies
    assert 0 <= (1000 if name == "lfw" else 300) - len(data.public) <= copies
    assert len(data.class_names) == data.train.classes
    assert all(data.class_names)


def test_fingerprint_of_a_real_set_is_fast(real_mirror):
    config = DataConfig(name="mnist", auxiliary_size=8000)
    data = load_data(config, clients=40, seed=1, data_dir=real_mirror)
    pixels = sum(part.images.numel() for part in (data.train, data.test, data.auxiliary, data.held_out))
    start = time.process_time()
    assert data.fingerprint
    # At this rate CIFAR-10, with 60,000 x 3,072 pixels, takes less than one second.
    assert pixels / (time.process_time() - start) > 60_000 * 3072
