import pytest
import torch
from tests.support.flat_oracle import small_images
from torch import Tensor

from palimpsest.datasets import RowSet
from palimpsest.metrics import evaluate, evaluate_samples, judge_control

TRUTH, AUXILIARY = small_images(30, seed=1), small_images(40, seed=2)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize(
    ("images", "identified", "passed"),
    [
        (TRUTH.images, 1.0, True),
        (TRUTH.images.roll(1, 0), 0.0, False),
        (AUXILIARY.images.mean(0).expand_as(TRUTH.images), 0.0, False),
    ],
    ids=["perfect", "another image", "mean image"],
)
def test_passes_above_chance_or_below_the_mean_image(images: Tensor, identified: float, passed: bool) -> None:
    control = judge_control(evaluate(images, TRUTH, AUXILIARY, bootstrap=50, generator=seeded()))
    assert control.count == 30
    assert control.identified == pytest.approx(identified, abs=0.1)
    assert control.passed is passed
    assert control.interval[0] <= control.identified <= control.interval[1]
    assert control.mse_interval[0] <= control.mse <= control.mse_interval[1]


def test_closeness_alone_is_enough() -> None:
    mean = AUXILIARY.images.mean(0)
    # The same step toward the other image of each pair: closer than the mean, but identifying nothing.
    pairs = (TRUTH.images + TRUTH.images.view(15, 2, *TRUTH.shape).flip(1).flatten(0, 1)) / 2
    images = mean + 1.02 * (pairs - mean)
    control = judge_control(evaluate(images.clamp(0, 1), TRUTH, AUXILIARY, bootstrap=50, generator=seeded()))
    assert control.mse_interval[1] < control.mean_image
    assert control.passed


def test_rows_are_compared_with_the_mean_row() -> None:
    rows = torch.randn(20, 3, generator=seeded())
    truth = RowSet("rows", rows, torch.zeros(20, dtype=torch.int64), 1, ("a", "b", "c"))
    control = judge_control(evaluate_samples(rows, truth, truth, bootstrap=20, generator=seeded()))
    assert (control.identified, control.mse) == (1.0, 0.0)
    assert control.mean_image == pytest.approx(1.0)
