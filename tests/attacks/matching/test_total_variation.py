import pytest
import torch

from palimpsest.attacks import total_variation


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_equals_its_formula_for_any_number_of_channels(channels: int) -> None:
    image = torch.rand(channels, 4, 5, generator=torch.Generator().manual_seed(channels))
    horizontal = [
        abs(float(image[c, y, x + 1] - image[c, y, x]))
        for c in range(channels)
        for y in range(4)
        for x in range(4)
    ]
    vertical = [
        abs(float(image[c, y + 1, x] - image[c, y, x]))
        for c in range(channels)
        for y in range(3)
        for x in range(5)
    ]
    expected = sum(horizontal) / len(horizontal) + sum(vertical) / len(vertical)
    assert float(total_variation(image)) == pytest.approx(expected, rel=1e-5)
    assert float(total_variation(image.expand(7, -1, -1, -1))) == pytest.approx(expected, rel=1e-5)


def test_is_zero_for_a_uniform_image() -> None:
    assert float(total_variation(torch.full((2, 3, 6, 6), 0.4))) == 0
