import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from palimpsest.errors import MissingDependencyError, ModelError
from palimpsest.metrics import lpips, perceptual

_DATA = os.environ.get("PALIMPSEST_DATA_DIR")
_HOME = Path(_DATA or ".").parent / "weights" / "torch_home"

with_weights = pytest.mark.skipif(
    _DATA is None or not _HOME.is_dir(),
    reason="PALIMPSEST_DATA_DIR is unset, or ../weights/torch_home is not beside it",
)


@pytest.fixture
def weights(monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(_HOME))


def example(name):
    with Image.open(Path(_DATA or ".") / "lpips-example" / f"{name}.png") as image:
        pixels = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
        return pixels.reshape(1, image.height, image.width, 3).permute(0, 3, 1, 2) / 255


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@with_weights
def test_gives_the_distances_of_the_official_example(weights):
    reference = example("ex_ref")
    assert lpips(example("ex_p0"), reference).item() == pytest.approx(0.722, abs=5e-4)
    assert lpips(example("ex_p1"), reference).item() == pytest.approx(0.138, abs=5e-4)


@with_weights
@pytest.mark.parametrize("network", ["alex", "squeeze"])
def test_equals_torchmetrics_image_by_image(weights, monkeypatch, network):
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

    monkeypatch.setattr(perceptual, "_BATCH_PIXELS", 2 * 32 * 40)
    left, right = images(3, 3, 32, 40), images(3, 3, 32, 40, seed=1)
    with torch.random.fork_rng(devices=[]):
        expected = learned_perceptual_image_patch_similarity(
            left, right, net_type=network, reduction="none", normalize=True
        )
    torch.testing.assert_close(lpips(left, right, network=network), expected.double(), atol=1e-6, rtol=1e-5)


@with_weights
@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 28, 28), (1, 1, 4, 9), (1, 3, 1, 1)])
def test_small_and_gray_images_are_supported(weights, shape):
    left, right = images(*shape), images(*shape, seed=1)
    distances = lpips(left, right)
    assert distances.shape == shape[:1]
    assert (distances > 0.01).all()
    torch.testing.assert_close(lpips(left, left), torch.zeros_like(distances))
    if shape[1] == 1:
        torch.testing.assert_close(lpips(left.repeat(1, 3, 1, 1), right.repeat(1, 3, 1, 1)), distances)


@with_weights
def test_leaves_the_global_random_state_alone(weights):
    perceptual._metric.cache_clear()
    before = torch.get_rng_state()
    lpips(images(1, 3, 32, 32), images(1, 3, 32, 32, seed=1), network="squeeze")
    assert torch.equal(torch.get_rng_state(), before)


def test_names_missing_weights_and_downloads_nothing(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for network, file in [("alex", "alexnet-"), ("squeeze", "squeezenet1_1-"), ("vgg", "vgg16-")]:
        with pytest.raises(MissingDependencyError, match=rf"{file}\S+\.pth.*https://.*TORCH_HOME"):
            lpips(images(1, 3, 32, 32), images(1, 3, 32, 32), network=network)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 half a file"])
def test_reports_damaged_weights(monkeypatch, tmp_path, content):
    perceptual._metric.cache_clear()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "squeezenet1_1-b8a52dc0.pth").write_bytes(content)
    with pytest.raises(MissingDependencyError, match=r"squeezenet1_1 .* can't be read"):
        lpips(images(1, 3, 32, 32), images(1, 3, 32, 32), network="squeeze")


def test_rejects_images_that_are_neither_gray_nor_rgb():
    with pytest.raises(ModelError, match="2 channels"):
        lpips(images(1, 2, 32, 32), images(1, 2, 32, 32))


class Distance(nn.Module):
    """Stand-in for a network with weights: the mean absolute difference of its inputs."""

    def __init__(self):
        super().__init__()
        self.inputs = []

    def forward(self, left, right, *, normalize=False):
        assert normalize, "images are in [0, 1], and the networks take [-1, 1]"
        self.inputs.append(left)
        return (left - right).abs().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def stand_in(monkeypatch):
    network = Distance()
    monkeypatch.setattr(perceptual, "_check_weights", lambda name: None)
    monkeypatch.setattr(perceptual, "_metric", lambda name: network)
    return network


@pytest.mark.parametrize(
    ("shape", "size"), [((8, 8), (32, 32)), ((4, 9), (32, 72)), ((28, 40), (32, 46)), ((32, 40), (32, 40))]
)
def test_images_with_a_side_below_32_are_enlarged_and_gray_ones_repeated(stand_in, shape, size):
    left, right = images(3, 1, *shape), images(3, 1, *shape, seed=1)
    distances = lpips(left, right)
    larger = [
        torch.nn.functional.interpolate(batch, size, mode="bilinear", align_corners=False)
        for batch in (left, right)
    ]
    torch.testing.assert_close(torch.cat(stand_in.inputs), larger[0].repeat(1, 3, 1, 1))
    assert (distances.shape, distances.dtype) == ((3,), torch.float64)
    torch.testing.assert_close(distances, (larger[0] - larger[1]).abs().mean(dim=(1, 2, 3)).double())


def test_large_images_are_compared_in_small_batches(stand_in):
    many = images(9, 3, 128, 256)
    assert lpips(many, many).tolist() == [0] * 9
    assert [len(batch) for batch in stand_in.inputs] == [4, 4, 1]
