import pytest
import torch
import torch.nn.functional as F

from palimpsest.attacks import OBJECTIVES, cosine, euclidean

ONE, OTHER = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([0.5, 2.5, 3.0])


def test_euclidean_is_relative() -> None:
    assert float(euclidean(ONE, OTHER)) == pytest.approx(float((ONE - OTHER).norm() / OTHER.norm()) ** 2)
    assert float(euclidean(torch.zeros(3), OTHER)) == pytest.approx(1)


def test_cosine_is_one_minus_the_cosine() -> None:
    assert float(cosine(ONE, OTHER)) == pytest.approx(1 - float(F.cosine_similarity(ONE, OTHER, dim=0)))
    assert float(cosine(5 * ONE, ONE)) == pytest.approx(0, abs=1e-12)
    assert float(cosine(-ONE, ONE)) == pytest.approx(2)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_equal_gradients_have_distance_zero(name: str) -> None:
    gradient = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert float(OBJECTIVES[name](gradient, gradient)) == 0
