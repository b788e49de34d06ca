from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from palimpsest.attacks.learned import perceptual_loss
from palimpsest.attacks.learned.perceptual_loss import (
    WEIGHTS_URL,
    VggFeatures,
    cached_vgg,
    download_vgg,
    load_vgg_features,
    perceptual_distance,
)
from palimpsest.errors import CheckpointError, ConfigurationError
from palimpsest.system.torchvision_compat import import_torchvision

SIZES = {"features.0": (64, 3), "features.2": (64, 64), "features.5": (128, 64), "features.7": (128, 128)}


def random_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = {
        f"{name}.weight": torch.randn(*size, 3, 3, generator=generator) / 30 for name, size in SIZES.items()
    }
    return weights | {f"{name}.bias": torch.zeros(size[0]) for name, size in SIZES.items()}


def test_the_distance_equals_equation_8() -> None:
    weights = random_weights()
    images, targets = torch.rand(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def phi(x: torch.Tensor) -> list[torch.Tensor]:
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        a = F.relu(F.conv2d((x - mean) / std, weights["features.0.weight"], padding=1))
        first = F.relu(F.conv2d(a, weights["features.2.weight"], padding=1))
        b = F.relu(F.conv2d(F.max_pool2d(first, 2), weights["features.5.weight"], padding=1))
        return [first, F.relu(F.conv2d(b, weights["features.7.weight"], padding=1))]

    total = sum(
        (maps - target_maps).square().mean() / target_maps.square().mean()
        for maps, target_maps in zip(phi(images), phi(targets), strict=True)
    )
    torch.testing.assert_close(perceptual_distance(VggFeatures(weights), images, targets), total / 2)


def test_equal_images_have_distance_zero_and_gradients_reach_the_images() -> None:
    features = VggFeatures(random_weights())
    targets = torch.rand(2, 1, 8, 8)
    assert perceptual_distance(features, targets, targets) == 0
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    perceptual_distance(features, images, targets).backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in features.parameters())


def test_rejects_a_file_without_a_layer(tmp_path: Path) -> None:
    weights = random_weights()
    del weights["features.7.bias"]
    save_file(weights, tmp_path / "vgg.safetensors")
    with pytest.raises(CheckpointError, match=r"has no tensor 'features\.7\.bias'"):
        load_vgg_features(tmp_path / "vgg.safetensors")


def test_missing_weights_are_not_replaced_by_random_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0

    def refuse(*_: object, **__: object) -> None:
        nonlocal requests
        requests += 1
        raise OSError("no network")

    monkeypatch.setattr(perceptual_loss, "load_state_dict_from_url", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert cached_vgg().parent == tmp_path / "hub" / "checkpoints"
    with pytest.raises(
        ConfigurationError, match=r"missing. Download .* --attack.vgg-weights, or set --attack.beta 0"
    ):
        load_vgg_features(None)
    assert requests == 0, "weights are not downloaded unasked"
    with pytest.raises(ConfigurationError, match=r"can't be loaded \(no network\)"):
        download_vgg()
    assert requests == 1


def test_the_weights_are_those_of_torchvision() -> None:
    assert import_torchvision().models.VGG16_Weights.IMAGENET1K_V1.url == WEIGHTS_URL


def test_real_weights_load(weights_dir: Path) -> None:
    features = load_vgg_features(weights_dir / "vgg16-relu2_2.safetensors")
    first, second = features(torch.rand(1, 3, 16, 16))
    assert first.shape == (1, 64, 16, 16)
    assert second.shape == (1, 128, 8, 8)
    # Trained filters distinguish an edge from a flat image.
    flat, edge = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), 0.5)
    edge[..., 8:] = 1
    assert perceptual_distance(features, flat, edge) > 0.05
