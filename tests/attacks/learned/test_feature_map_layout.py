import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.feature_map_layout import find_feature_map_layout
from palimpsest.attacks.learned.last_linear import LastLinear
from palimpsest.gradients import gradient_differences


def convolutional_models(*, pooled: bool) -> list[nn.Module]:
    """Build two classifiers of 16-pixel images with last maps of 4 x 4 entries, which global pooling may remove."""
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        body: list[nn.Module] = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4)]
        body += [nn.AdaptiveAvgPool2d(1)] if pooled else []
        models.append(nn.Sequential(*body, nn.Flatten(), nn.Linear(6 if pooled else 96, 3)))
    return models


def images() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return nn.functional.interpolate(
        torch.rand(48, 1, 6, 6, generator=generator), size=(16, 16), mode="bilinear"
    )


def find_layout(models: list[nn.Module], width: int) -> tuple[int, int, int] | None:
    labels = torch.arange(48) % 3
    return find_feature_map_layout(
        LastLinear(3, width), images(), lambda shifted: gradient_differences(*models, shifted, labels)
    )


def test_shifted_queries_reveal_the_layout() -> None:
    assert find_layout(convolutional_models(pooled=False), 96) == (6, 4, 4)


def test_features_that_do_not_move_with_the_image_have_no_layout() -> None:
    assert find_layout(convolutional_models(pooled=True), 6) is None
    torch.manual_seed(0)
    dense = [nn.Sequential(nn.Flatten(), nn.Linear(256, 96), nn.ReLU(), nn.Linear(96, 3)) for _ in range(2)]
    assert find_layout(dense, 96) is None
