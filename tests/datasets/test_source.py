import torch

from palimpsest.datasets import find_source


def test_read_all_joins_training_and_test_images() -> None:
    digits = find_source("digits")
    everything = digits.read_all()
    parts = [digits.read("train"), digits.read("test")]
    assert torch.equal(everything.images, torch.cat([part.images for part in parts]))
    assert torch.equal(everything.labels, torch.cat([part.labels for part in parts]))
    assert everything.classes == 10
