import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.metrics import assign, distances, mean_image, nearest_images, right_ranks
from palimpsest.metrics.distances import distance_blocks


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def all_distances(left, right):
    return torch.stack([(image.double() - right.double()).square().flatten(1).sum(1) for image in left])


@pytest.fixture(params=[2**22, 5], ids=["one block", "many blocks"])
def block(request, monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK", request.param)


@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=st.integers(0, 50))
def test_distances_equal_one_pair_at_a_time(n, m, seed):
    left, right = images(n, 2, 3, 4, seed=seed), images(m, 2, 3, 4, seed=seed + 1)
    torch.testing.assert_close(torch.cat(list(distance_blocks(left, right))), all_distances(left, right))


def test_ranks_equal_sorting_all_distances(block):
    originals = images(9, 1, 4, 4)
    reconstructions = (originals + 3 * (images(9, 1, 4, 4, seed=1) - 0.5)).clamp(0, 1)
    table = all_distances(reconstructions, originals)
    expected = [1 + int((row < row[i]).sum()) for i, row in enumerate(table)]
    assert right_ranks(reconstructions, originals).tolist() == expected
    assert max(expected) > 1  # the noise confuses some


def test_perfect_reconstructions_are_told_apart(block):
    originals = images(9, 1, 4, 4)
    assert right_ranks(originals, originals).tolist() == [1] * 9


def test_a_tie_goes_against_the_attacker(block):
    originals = images(9, 3, 32, 32)
    originals[7] = originals[2]
    assert right_ranks(originals, originals).tolist() == [1, 1, 2, 1, 1, 1, 1, 2, 1]
    grey = torch.full_like(originals, 0.5)
    assert right_ranks(grey, torch.zeros_like(originals)).tolist() == [9] * 9


def test_one_constant_answer_finds_each_rank_once(block):
    originals = images(9, 1, 4, 4)
    assert sorted(right_ranks(mean_image(originals, 9), originals).tolist()) == list(range(1, 10))


def test_one_grey_level_of_one_pixel_decides(block):
    originals = torch.ones(2, 3, 64, 64)
    originals[1, 0, 0, 0] -= 1 / 255
    assert right_ranks(originals, originals).tolist() == [1, 1]


def test_mean_image_is_the_mean():
    auxiliary = images(5, 3, 4, 4)
    answer = mean_image(auxiliary, 7)
    assert answer.shape == (7, 3, 4, 4)
    torch.testing.assert_close(answer[6], auxiliary.mean(dim=0))


def test_nearest_images_equal_a_search_one_by_one(block):
    originals, auxiliary = images(6, 3, 4, 4), images(11, 3, 4, 4, seed=1)
    expected = auxiliary[all_distances(originals, auxiliary).argmin(dim=1)]
    assert torch.equal(nearest_images(originals, auxiliary), expected)


@given(order=st.permutations(range(6)), seed=st.integers(0, 20))
def test_assignment_finds_the_order_of_a_shuffled_batch(order, seed):
    originals = images(6, 1, 5, 5, seed=seed)
    shuffled = originals[list(order)]
    assert torch.equal(shuffled[assign(shuffled, originals)], originals)


def test_assignment_has_the_smallest_total_not_the_greedy_one():
    originals = torch.tensor([0.5, 0.9]).reshape(2, 1, 1, 1)
    reconstructions = torch.tensor([0.6, 0.1]).reshape(2, 1, 1, 1)
    # Greedily 0.6 goes to 0.5, which leaves 0.1 for 0.9: 0.65 in all, and 0.25 the other way round.
    assert reconstructions[assign(reconstructions, originals)].flatten().tolist() == pytest.approx([0.1, 0.6])


def test_the_mean_of_many_images_is_rounded_once():
    many = images(3000, 1, 8, 8)
    assert torch.equal(mean_image(many, 1)[0], many.double().mean(dim=0).float())
