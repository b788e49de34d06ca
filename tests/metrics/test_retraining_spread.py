import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.metrics import ModelReading, RetrainingComparison, compare_with_retrainings, spread
from palimpsest.metrics.retraining_spread import mean_disagreements, mean_distances


def reading(generator: torch.Generator, *, forgotten_loss: float = 1.0, move: float = 0.0) -> ModelReading:
    """Draw a reading of a model whose losses scatter around a level."""

    def noise(size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator)

    return ModelReading(
        confidences=noise(40),
        losses=forgotten_loss + 0.3 * noise(40),
        held_out_losses=1 + 0.3 * noise(40),
        correct=noise(40) > 0,
        predictions=(noise(50) > 0).long(),
        test_accuracy=0.5 + 0.01 * noise(1).item(),
        parameters=noise(30) + move,
    )


def test_the_interval_equals_the_formula() -> None:
    result = spread(1.0, [2.0, 3.0, 4.0], false_alarm=0.05)
    # Student's t with two degrees of freedom: 4.302653 is its 97.5 % quantile, the deviation is 1.
    reach = 4.302653 * math.sqrt(1 + 1 / 3)
    assert (result.mean, result.deviation) == (3.0, 1.0)
    assert (result.low, result.high) == pytest.approx((3 - reach, 3 + reach), rel=1e-6)
    assert not result.flagged
    assert spread(3 + 1.01 * reach, [2.0, 3.0, 4.0]).flagged
    assert spread(3 - 1.01 * reach, [2.0, 3.0, 4.0]).flagged


def test_a_distance_is_flagged_above_only() -> None:
    assert not spread(-99.0, [2.0, 3.0, 4.0], upper_only=True).flagged
    # 2.919986 is the 95 % quantile.
    reach = 2.919986 * math.sqrt(1 + 1 / 3)
    assert spread(3 + 1.001 * reach, [2.0, 3.0, 4.0], upper_only=True).flagged
    assert not spread(3 + 0.999 * reach, [2.0, 3.0, 4.0], upper_only=True).flagged


def test_equal_retrainings_flag_every_other_value() -> None:
    assert spread(1.1, [1.0, 1.0]).flagged
    assert not spread(1.0, [1.0, 1.0]).flagged


def test_the_false_alarm_is_the_stated_one() -> None:
    generator = torch.Generator().manual_seed(4)
    values = torch.randn(400, 7, generator=generator, dtype=torch.float64)
    flagged = sum(spread(first, rest, false_alarm=0.2).flagged for first, *rest in values.tolist())
    assert 56 <= flagged <= 104  # 80 expected, standard deviation 8


@given(st.integers(0, 2**31), st.integers(2, 5))
def test_mean_distances_equal_a_reference_implementation(seed: int, count: int) -> None:
    models = torch.randn(1 + count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = []
    for index, model in enumerate(models):
        others = [other for place, other in enumerate(models) if place > 0 and place != index]
        expected.append(sum((model - other).norm().item() for other in others) / len(others))
    assert mean_distances(models) == pytest.approx(expected)


def test_mean_disagreements_count_samples() -> None:
    predictions = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]])
    assert mean_disagreements(predictions) == [0.375, 0.25, 0.25]


def test_flags_low_losses_and_distant_parameters() -> None:
    generator = torch.Generator().manual_seed(1)
    retrained = [reading(generator) for _ in range(6)]
    assert compare_with_retrainings(reading(generator), retrained).flagged == []
    known = compare_with_retrainings(reading(generator, forgotten_loss=0.1), retrained)
    assert known.flagged == ["forgotten_loss", "loss_gap"]
    far = compare_with_retrainings(reading(generator, move=9.0), retrained)
    assert far.flagged == ["parameter_distance"]
    assert (far.false_alarm, far.models) == (0.05, 6)


def test_can_be_saved_and_loaded(tmp_path) -> None:
    generator = torch.Generator().manual_seed(2)
    result = compare_with_retrainings(reading(generator), [reading(generator) for _ in range(3)])
    result.save(tmp_path / "comparison.safetensors")
    assert RetrainingComparison.load(tmp_path / "comparison.safetensors") == result
