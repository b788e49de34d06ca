import pytest
import torch
from scipy.fft import dctn
from torch import Tensor, nn

from palimpsest.attacks import Spectrum, make_coordinates


def smooth_images(count: int, channels: int) -> Tensor:
    coarse = torch.rand(
        count, channels, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return nn.functional.interpolate(coarse, size=(8, 10), mode="bilinear")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("space", ["pixels", "box", "spectrum"])
def test_decode_inverts_encode(space: str, channels: int) -> None:
    images = smooth_images(50, channels)
    coordinates = make_coordinates(space, images)
    torch.testing.assert_close(coordinates.decode(coordinates.encode(images)), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_public_images_are_white_in_their_spectrum(channels: int) -> None:
    images = smooth_images(400, channels)
    found = Spectrum(images).encode(images)
    assert float(found.mean(dim=0).abs().max()) < 1e-9
    strong = found.std(dim=0)[:, :2, :2]
    torch.testing.assert_close(strong, torch.ones_like(strong), atol=0.02, rtol=0)
    assert float(found.std(dim=0).max()) <= 1


def test_frequencies_equal_the_dct_of_scipy() -> None:
    images = smooth_images(50, 1)
    spectrum = Spectrum(images)
    expected = torch.from_numpy(dctn((images - images.mean(dim=0)).numpy(), axes=(2, 3), norm="ortho"))
    found = spectrum.encode(images) * spectrum.scale
    torch.testing.assert_close(found.abs(), expected.abs())


def test_zero_coordinates_are_the_mean_public_image() -> None:
    images = smooth_images(50, 3)
    torch.testing.assert_close(Spectrum(images).decode(torch.zeros_like(images[0])), images.mean(dim=0))


def test_noise_is_as_smooth_as_public_images() -> None:
    images = smooth_images(200, 1)
    spectrum = Spectrum(images)
    noise = spectrum.decode(spectrum.noise((200, 1, 8, 10), torch.Generator().manual_seed(1)).double())

    def roughness(values: Tensor) -> float:
        return float(values.diff(dim=3).square().mean() / (values - values.mean(dim=0)).square().mean())

    assert roughness(noise) == pytest.approx(roughness(images), rel=0.2)
