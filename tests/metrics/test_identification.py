import torch
from tests.support.images import random_images, reference_distances

from palimpsest.metrics import mean_image, right_ranks


def test_ranks_equal_those_from_sorting_all_distances(block):
    originals = random_images(9, 1, 4, 4)
    reconstructions = (originals + 3 * (random_images(9, 1, 4, 4, seed=1) - 0.5)).clamp(0, 1)
    table = reference_distances(reconstructions, originals)
    expected = [1 + int((row < row[i]).sum()) for i, row in enumerate(table)]
    assert right_ranks(reconstructions, originals).tolist() == expected
    assert max(expected) > 1, "the noise must confuse at least one image"


def test_perfect_reconstructions_have_rank_one(block):
    originals = random_images(9, 1, 4, 4)
    assert right_ranks(originals, originals).tolist() == [1] * 9


def test_ties_count_against_the_attacker_in_ranks(block):
    originals = random_images(9, 3, 32, 32)
    originals[7] = originals[2]
    assert right_ranks(originals, originals).tolist() == [1, 1, 2, 1, 1, 1, 1, 2, 1]
    gray = torch.full_like(originals, 0.5)
    assert right_ranks(gray, torch.zeros_like(originals)).tolist() == [9] * 9


def test_a_constant_reconstruction_has_every_rank_once(block):
    originals = random_images(9, 1, 4, 4)
    assert sorted(right_ranks(mean_image(originals, 9), originals).tolist()) == list(range(1, 10))


def test_one_gray_level_of_one_pixel_separates_images(block):
    originals = torch.ones(2, 3, 64, 64)
    originals[1, 0, 0, 0] -= 1 / 255
    assert right_ranks(originals, originals).tolist() == [1, 1]
