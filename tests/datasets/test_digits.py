import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from palimpsest.datasets.digits import Digits

pytestmark = pytest.mark.usefixtures("no_network")


def test_the_two_splits_form_the_whole_set():
    train, test = Digits().read("train"), Digits().read("test")
    assert (len(train), len(test)) == (Digits().count("train"), Digits().count("test")) == (897, 900)
    assert train.shape == test.shape == (1, 8, 8)
    assert train.classes == 10
    pixels, labels = load_digits(return_X_y=True)
    rows = np.concatenate([(part.images * 16).flatten(1).numpy() for part in (train, test)])
    actual = np.column_stack([rows, torch.cat([train.labels, test.labels])])
    expected = np.column_stack([pixels, labels])
    assert np.array_equal(actual[np.lexsort(actual.T)], expected[np.lexsort(expected.T)])


def test_every_class_is_in_both_splits():
    for split in ("train", "test"):
        assert torch.bincount(Digits().read(split).labels).min() > 70


def test_rows_select_from_the_split():
    rows = torch.tensor([0, 5, 800])
    assert torch.equal(Digits().read("test", rows=rows).images, Digits().read("test").images[rows])
    assert torch.equal(Digits().read("test", rows=rows).labels, Digits().read("test").labels[rows])


def test_scales_the_images():
    scaled = Digits().read("train", size=(16, 12))
    assert scaled.shape == (1, 16, 12)
    original = Digits().read("train")
    assert (scaled.images.mean() - original.images.mean()).abs() < 0.02
