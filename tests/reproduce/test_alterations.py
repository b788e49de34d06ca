import pytest
import torch

from palimpsest.randomness import make_generator
from palimpsest.reproduce.alterations import ALTERATIONS, add_levels, crop, recompress, resize

IMAGES = torch.nn.functional.interpolate(
    torch.rand(3, 3, 4, 4, generator=make_generator(1)), size=(16, 16), mode="bilinear"
)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(ALTERATIONS))
def test_altered_images_are_images_of_the_same_shape(name, channels):
    images = IMAGES[:, :channels]
    altered = ALTERATIONS[name](images, make_generator(2))
    assert altered.shape == images.shape
    assert altered.min() >= 0
    assert altered.max() <= 1
    assert torch.equal(altered, images) == (name == "exact")
    assert (altered - images).abs().mean() < 0.2


def test_noise_has_the_given_levels():
    gray = torch.full((50, 1, 8, 8), 0.5)
    assert float((add_levels(gray, 4, make_generator(3)) - gray).std()) == pytest.approx(4 / 255, rel=0.05)


def test_stronger_alterations_change_more():
    changes = [float((recompress(IMAGES, quality) - IMAGES).square().mean()) for quality in (95, 75, 50)]
    assert changes == sorted(changes)
    assert float((resize(IMAGES, 0.75) - IMAGES).square().mean()) > 0
    flat = torch.full((1, 1, 8, 8), 0.25)
    torch.testing.assert_close(crop(flat), flat)
    torch.testing.assert_close(resize(flat, 0.75), flat)
