import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from palimpsest.metrics import separation
from palimpsest.randomness import make_generator

values = st.lists(st.floats(-5, 5, width=16), min_size=1, max_size=30)


@given(values, values)
def test_the_area_equals_scikit_learns(honest: list[float], forged: list[float]) -> None:
    area, low, high = separation(
        torch.tensor(honest), torch.tensor(forged), bootstrap=20, generator=make_generator(0)
    )
    truth = [0] * len(honest) + [1] * len(forged)
    assert area == pytest.approx(roc_auc_score(truth, honest + forged))
    assert 0 <= low <= high <= 1


def test_infinite_suspicion_is_allowed() -> None:
    area, *_ = separation(
        torch.arange(4.0), torch.full((3,), torch.inf), bootstrap=5, generator=make_generator(0)
    )
    assert area == 1


def test_the_interval_covers_chance() -> None:
    generator = make_generator(4)
    _, low, high = separation(
        torch.randn(200, generator=generator),
        torch.randn(200, generator=generator),
        bootstrap=200,
        generator=generator,
    )
    assert low < 0.5 < high
    assert high - low < 0.2


def test_the_interval_is_a_percentile_bootstrap() -> None:
    honest, forged = (
        torch.randn(12, generator=make_generator(1)),
        1 + torch.randn(9, generator=make_generator(2)),
    )
    generator = make_generator(3)
    areas = []
    for _ in range(60):
        drawn = [
            scores[torch.randint(len(scores), (len(scores),), generator=generator)]
            for scores in (honest, forged)
        ]
        areas.append(roc_auc_score([0] * 12 + [1] * 9, torch.cat(drawn)))
    expected = (
        torch.tensor(areas, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    )
    torch.manual_seed(0)
    _, *found = separation(honest, forged, bootstrap=60, generator=make_generator(3))
    assert found == pytest.approx(expected)
