import pytest
import torch
from torch.testing import assert_close

from palimpsest.membership import compare_with_proofs


def drawn(count: int, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(count, 40, generator=torch.Generator().manual_seed(seed))


def test_readings_equal_those_of_one_pair_after_another():
    differences, proofs = drawn(7), drawn(5, scale=3.0, seed=1)
    readings = compare_with_proofs(differences.split(3), proofs)
    expected = [
        min(float((one - proof).norm() / (one.norm() + proof.norm())) for proof in proofs)
        for one in differences
    ]
    assert_close(readings.distances, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-6)
    assert_close(readings.norms, differences.double().norm(dim=1))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_the_difference_that_a_proof_shows_is_nearest_at_any_scale(scale):
    differences = drawn(20, scale)
    readings = compare_with_proofs([differences], differences[:8])
    assert readings.distances[:8].max() < 1e-3
    assert readings.distances[8:].min() > 0.1


def test_a_small_difference_is_not_close_to_a_small_proof():
    proofs = torch.cat([drawn(3), drawn(1, 1e-5, seed=2)])
    other = drawn(1, 1e-5, seed=3)
    assert compare_with_proofs([other], proofs).distances.item() > 0.1


def test_models_that_do_not_differ_give_nothing_away():
    readings = compare_with_proofs([torch.zeros(4, 40)], torch.zeros(2, 40))
    assert readings.distances.tolist() == [0.0] * 4
    assert readings.norms.tolist() == [0.0] * 4
