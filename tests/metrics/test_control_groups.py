import pytest
import torch
from tests.support.attack_views import seeded
from tests.support.images import random_images

from palimpsest.metrics import ControlGroupMetrics, binomial_interval, score_control_group

ORIGINALS = random_images(40, 1, 4, 4)


def group(scale: float, *, forgotten: float = 0.01, spread: float = 0.004) -> ControlGroupMetrics:
    """Reconstructions that keep this share of the contrast, against forgotten samples with this mean error."""
    errors = forgotten + spread * torch.linspace(-1, 1, 60)
    images = 0.5 + scale * (ORIGINALS - 0.5)
    return score_control_group(
        images, ORIGINALS, errors, same_classes=True, resamples=400, generator=seeded()
    )


def test_scores_are_those_of_the_group() -> None:
    found = group(0.5)
    errors = (0.5 * (ORIGINALS - 0.5)).square().flatten(1).mean(dim=1)
    assert found.count == 40
    assert found.mse == pytest.approx(float(errors.mean()), rel=1e-6)
    assert found.mse_interval[0] < found.mse < found.mse_interval[1]
    assert found.difference == pytest.approx(0.01 - found.mse, rel=1e-6)
    assert (found.identified, found.chance) == (1.0, 1 / 40)
    assert found.interval == binomial_interval(40, 40)
    assert group(0.0).identified <= 1 / 40


def test_a_difference_is_named_only_if_its_interval_excludes_zero() -> None:
    # The errors of the group are about 0.02, 0.0001, and 0.01.
    closer, farther, same = group(0.5), group(0.97), group(0.65)
    assert [(one.closer, one.farther) for one in (closer, farther, same)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    low, high = same.difference_interval
    assert low < 0 < high


def test_pixels_outside_the_range_are_clamped() -> None:
    far = score_control_group(
        ORIGINALS + 5, ORIGINALS, torch.zeros(3), same_classes=False, resamples=10, generator=seeded()
    )
    assert far.mse == pytest.approx(float((1 - ORIGINALS).square().mean()), rel=1e-5)
    assert not far.same_classes
