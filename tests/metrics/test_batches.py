import pytest
import torch

from palimpsest.metrics import in_order, label_recovery

IMAGES = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_each_batch_is_put_in_the_order_of_its_originals() -> None:
    mixed = IMAGES[torch.tensor([2, 0, 1, 3, 5, 4])]
    assert torch.equal(in_order(mixed, IMAGES, batch=3), IMAGES)
    assert torch.equal(in_order(mixed, IMAGES, batch=1), mixed)


def test_no_reconstruction_leaves_its_batch() -> None:
    swapped = IMAGES[torch.tensor([3, 4, 5, 0, 1, 2])]
    found = in_order(swapped, IMAGES, batch=3)
    assert {int((image == IMAGES).flatten(1).all(dim=1).nonzero()) for image in found[:3]} == {3, 4, 5}


def test_labels_are_counted_within_batches_regardless_of_order() -> None:
    labels = torch.tensor([0, 1, 1, 2])
    assert label_recovery(torch.tensor([1, 0, 2, 1]), labels, batch=2) == 1
    assert label_recovery(torch.tensor([1, 1, 2, 2]), labels, batch=2) == pytest.approx(0.5)
    assert label_recovery(torch.tensor([1, 2, 0, 1]), labels, batch=2) == pytest.approx(0.5)
    assert label_recovery(labels.flip(0), labels, batch=1) == pytest.approx(0.5)


def test_batches_of_two_are_put_in_order() -> None:
    swapped = IMAGES[torch.tensor([1, 0, 3, 2, 5, 4])]
    assert torch.equal(in_order(swapped, IMAGES, batch=2), IMAGES)


def test_rejects_different_numbers_of_batches() -> None:
    with pytest.raises(ValueError, match="zip"):
        in_order(IMAGES[:3], IMAGES, batch=3)
    with pytest.raises(ValueError, match="zip"):
        label_recovery(torch.tensor([0, 1]), torch.tensor([0, 1, 1, 0]), batch=2)
