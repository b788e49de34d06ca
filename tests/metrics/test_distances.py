import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import random_images, reference_distances

from palimpsest.metrics.distances import distance_blocks


@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=st.integers(0, 50))
def test_distances_equal_one_pair_at_a_time(n, m, seed):
    left, right = random_images(n, 2, 3, 4, seed=seed), random_images(m, 2, 3, 4, seed=seed + 1)
    torch.testing.assert_close(
        torch.cat(list(distance_blocks(left, right))), reference_distances(left, right)
    )


def test_blocks_are_consecutive_rows(block):
    left, right = random_images(7, 1, 4, 4), random_images(3, 1, 4, 4, seed=1)
    torch.testing.assert_close(
        torch.cat(list(distance_blocks(left, right))), reference_distances(left, right)
    )


def test_block_size_is_limited(monkeypatch):
    monkeypatch.setattr("palimpsest.metrics.distances._BLOCK", 6)
    left, right = random_images(7, 1, 4, 4), random_images(3, 1, 4, 4, seed=1)
    assert [len(rows) for rows in distance_blocks(left, right)] == [2, 2, 2, 1]


def test_no_distance_is_negative():
    images = 0.5 + random_images(20, 3, 32, 32) / 1e4
    distances = torch.cat(list(distance_blocks(images, images)))
    assert distances.dtype == torch.float64
    assert (distances >= 0).all()
