import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import random_images, reference_distances

from palimpsest.metrics import mean_image, nearest_images


def test_mean_image_is_the_mean():
    auxiliary = random_images(5, 3, 4, 4)
    answer = mean_image(auxiliary, 7)
    assert answer.shape == (7, 3, 4, 4)
    torch.testing.assert_close(answer[6], auxiliary.mean(dim=0))


def test_nearest_images_equal_a_sequential_search(block):
    originals, auxiliary = random_images(6, 3, 4, 4), random_images(11, 3, 4, 4, seed=1)
    expected = auxiliary[reference_distances(originals, auxiliary).argmin(dim=1)]
    assert torch.equal(nearest_images(originals, auxiliary), expected)


@given(n=st.integers(1, 5), m=st.integers(1, 6), seed=st.integers(0, 50))
def test_no_auxiliary_image_is_nearer_than_the_nearest(n, m, seed):
    originals, auxiliary = random_images(n, 1, 3, 3, seed=seed), random_images(m, 1, 3, 3, seed=seed + 1)
    chosen = (originals - nearest_images(originals, auxiliary)).double().square().flatten(1).sum(1)
    torch.testing.assert_close(
        chosen, reference_distances(originals, auxiliary).amin(1), rtol=1e-5, atol=1e-7
    )


@given(m=st.integers(1, 6), seed=st.integers(0, 50))
def test_no_constant_image_has_a_smaller_error_than_the_mean(m, seed):
    auxiliary = random_images(m, 1, 3, 3, seed=seed)
    other = random_images(1, 1, 3, 3, seed=seed + 1)
    error = (auxiliary - mean_image(auxiliary, m)).square().mean()
    assert error <= (auxiliary - other).square().mean() + 1e-7


def test_the_mean_of_many_images_is_rounded_once():
    many = random_images(3000, 1, 8, 8)
    assert torch.equal(mean_image(many, 1)[0], many.double().mean(dim=0).float())
