import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.metrics import mean_squared_errors, psnr, ssim
from palimpsest.metrics.image_metrics import paired_batches


def pair(*shape, seed=0, noise=0.2):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(shape, generator=generator)
    return images, (images + noise * torch.randn(shape, generator=generator)).clamp(0, 1)


def slow_ssim(left, right):
    """Reference SSIM of one image (correct, slow): a Gaussian window around each pixel, reflected borders."""
    radius = min(5, (min(left.shape[-2:]) - 1) // 2)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    line = torch.exp(-(offsets**2) / (2 * (0.3 * max(radius, 0.1)) ** 2))
    window = torch.outer(line, line) / line.sum() ** 2
    values = []
    padded = (
        torch.nn.functional.pad(image.double(), [radius] * 4, mode="reflect") for image in (left, right)
    )
    for x, y in zip(*padded, strict=True):  # channels
        for row in range(left.shape[-2]):
            for column in range(left.shape[-1]):
                a, b = (z[row : row + 2 * radius + 1, column : column + 2 * radius + 1] for z in (x, y))
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                variance_a = (window * (a - mean_a) ** 2).sum()
                variance_b = (window * (b - mean_b) ** 2).sum()
                covariance = (window * (a - mean_a) * (b - mean_b)).sum()
                values.append(
                    (2 * mean_a * mean_b + 1e-4)
                    * (2 * covariance + 9e-4)
                    / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4))
                )
    return torch.stack(values).mean()


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 5), c=st.integers(1, 3), h=st.integers(1, 9), w=st.integers(1, 9), seed=st.integers(0, 9)
)
def test_mse_and_psnr_follow_their_definition(n, c, h, w, seed):
    left, right = pair(n, c, h, w, seed=seed)
    errors = mean_squared_errors(left, right)
    for value, a, b in zip(errors.tolist(), left.double(), right.double(), strict=True):
        expected = math.fsum(((a - b) ** 2).flatten().tolist()) / (c * h * w)
        assert value == pytest.approx(expected, rel=1e-12)
        assert psnr(torch.tensor(value)).item() == pytest.approx(
            min(100, 10 * math.log10(1 / expected)), rel=1e-6
        )


def test_psnr_of_identical_images_is_the_maximum():
    image = torch.rand(1, 3, 8, 8)
    assert psnr(mean_squared_errors(image, image)).tolist() == [100]


def test_psnr_of_a_known_error():
    assert psnr(torch.tensor([1.0, 0.1, 0.001])).tolist() == pytest.approx([0, 10, 30])


@pytest.mark.parametrize(
    "shape", [(2, 3, 16, 12), (1, 1, 15, 14), (2, 1, 8, 8), (1, 1, 5, 9), (1, 2, 2, 3), (1, 1, 1, 1)]
)
def test_ssim_follows_its_definition(shape):
    left, right = pair(*shape)
    expected = torch.stack([slow_ssim(a, b) for a, b in zip(left, right, strict=True)])
    torch.testing.assert_close(ssim(left, right), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (3, 1, 8, 8), (1, 1, 1, 4)])
def test_ssim_of_identical_images_is_one(shape):
    images, _ = pair(*shape)
    torch.testing.assert_close(ssim(images, images), torch.ones(shape[0], dtype=torch.float64))


def test_ssim_falls_with_noise():
    values = [float(ssim(*pair(1, 3, 32, 32, noise=noise))) for noise in (0.01, 0.1, 0.3)]
    assert 1 > values[0] > values[1] > values[2] > 0


def test_batches_do_not_change_a_score(monkeypatch):
    left, right = pair(7, 3, 16, 16)
    whole = mean_squared_errors(left, right), ssim(left, right)
    monkeypatch.setattr("palimpsest.metrics.image_metrics._BATCH_PIXELS", 600)
    assert len(paired_batches(left, right, pixels=600)) == 4
    torch.testing.assert_close((mean_squared_errors(left, right), ssim(left, right)), whole)


def test_batches_are_never_empty_and_sides_must_match():
    left, right = pair(3, 1, 8, 8)
    assert [len(batch) for batch, _ in paired_batches(left, right, pixels=1)] == [1, 1, 1]
    with pytest.raises(ValueError, match="zip"):
        paired_batches(left, right[:2], pixels=64)
