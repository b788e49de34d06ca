import pytest
import torch

from palimpsest.metrics import RelearnTime, relearn_steps, relearn_time

HALVING = 2.0 ** -torch.arange(10.0)


@pytest.mark.parametrize(
    ("target", "steps"), [(2.0, 0), (1.0, 0), (0.5, 1), (0.3, 2), (2.0**-9, 9), (1e-9, None)]
)
def test_counts_steps_of_a_halving_loss(target: float, steps: int | None) -> None:
    assert relearn_steps(HALVING, target) == steps


def test_a_model_that_knows_more_needs_fewer_steps() -> None:
    assert relearn_time(HALVING / 4, HALVING, 0.1) == RelearnTime(2, 4, 9, 0.5)


def test_a_missing_number_counts_as_one_more_than_the_limit() -> None:
    assert relearn_time(HALVING, HALVING + 1, 0.5) == RelearnTime(1, None, 9, 0.1)
    assert relearn_time(HALVING + 1, HALVING, 0.5) == RelearnTime(None, 1, 9, 10.0)
    assert relearn_time(HALVING, HALVING, 2.0) == RelearnTime(0, 0, 9, None)
