import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from palimpsest.metrics import area_interval, separation
from palimpsest.randomness import make_generator

values = st.lists(st.floats(-5, 5, width=16), min_size=1, max_size=30)


@given(values, values)
def test_the_area_equals_scikit_learns(honest: list[float], forged: list[float]) -> None:
    found = separation(torch.tensor(honest), torch.tensor(forged))
    truth = [0] * len(honest) + [1] * len(forged)
    assert found.value == pytest.approx(roc_auc_score(truth, honest + forged))
    assert (found.low, found.high) == area_interval(found.value, len(forged), len(honest))
    assert 0 <= found.low < found.high <= 1


def test_infinite_suspicion_is_allowed() -> None:
    assert separation(torch.arange(4.0), torch.full((3,), torch.inf)).value == 1
    assert separation(torch.full((4,), torch.inf), torch.full((3,), torch.inf)).value == 0.5


def test_perfect_separation_of_few_proofs_has_a_wide_interval() -> None:
    found = separation(torch.zeros(10), torch.ones(10))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.6915, abs=1e-4)


def test_the_interval_covers_chance() -> None:
    generator = make_generator(4)
    found = separation(torch.randn(200, generator=generator), torch.randn(200, generator=generator))
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.2
