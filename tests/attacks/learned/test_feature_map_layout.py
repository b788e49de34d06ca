import torch
from torch import Tensor, nn

from palimpsest.attacks.learned.feature_map_layout import find_feature_map_layout
from palimpsest.attacks.learned.last_linear import LastLinear
from palimpsest.gradients import gradient_differences


def maps_of(*, pooled: bool) -> list[nn.Module]:
    """Two convolutional classifiers of 16-pixel images, whose last maps have 4 x 4 entries, pooled away or not."""
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        body: list[nn.Module] = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(4)]
        body += [nn.AdaptiveAvgPool2d(1)] if pooled else []
        made.append(nn.Sequential(*body, nn.Flatten(), nn.Linear(6 if pooled else 96, 3)))
    return made


def images() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return nn.functional.interpolate(
        torch.rand(48, 1, 6, 6, generator=generator), size=(16, 16), mode="bilinear"
    )


def found(models: list[nn.Module], width: int) -> tuple[int, int, int] | None:
    labels = torch.arange(48) % 3
    return find_feature_map_layout(
        LastLinear(3, width), images(), lambda shifted: gradient_differences(*models, shifted, labels)
    )


def test_shifted_queries_show_how_features_lie_over_the_image() -> None:
    assert found(maps_of(pooled=False), 96) == (6, 4, 4)


def test_features_that_do_not_move_with_the_image_have_no_grid() -> None:
    assert found(maps_of(pooled=True), 6) is None
    torch.manual_seed(0)
    dense = [nn.Sequential(nn.Flatten(), nn.Linear(256, 96), nn.ReLU(), nn.Linear(96, 3)) for _ in range(2)]
    assert found(dense, 96) is None
