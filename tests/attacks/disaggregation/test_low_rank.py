import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.attack_views import seeded

from palimpsest.attacks.disaggregation.low_rank import factorize, outside_row_space


def product(units: int, inputs: int, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a gradient of `count` samples in float64, and the samples."""
    generator = seeded(seed)
    samples = torch.randn(count, inputs, generator=generator, dtype=torch.float64)
    return torch.randn(units, count, generator=generator, dtype=torch.float64) @ samples, samples


@given(st.integers(1, 5), st.booleans(), st.integers(0, 100))
def test_the_factors_reproduce_the_gradient_as_the_full_decomposition_does(
    count: int, tall: bool, seed: int
) -> None:
    gradient, _ = product(*((30, 12) if tall else (12, 30)), count, seed)
    factors = factorize(gradient, count)
    assert factors.rank == count
    torch.testing.assert_close((factors.left * factors.noise[:, None]) @ factors.right, gradient)
    torch.testing.assert_close(factors.right @ factors.right.T, torch.eye(count, dtype=torch.float64))
    values = torch.linalg.svdvals(gradient)[:count]
    torch.testing.assert_close((factors.left * factors.noise[:, None]).norm(dim=0), values)


def test_repeated_samples_lower_the_rank() -> None:
    gradient, samples = product(20, 30, 3, seed=1)
    # A fourth sample equals the first.
    gradient = gradient + torch.rand(20, 1, dtype=torch.float64, generator=seeded()) * samples[0]
    assert factorize(gradient, 4).rank == 3
    assert factorize(torch.zeros_like(gradient), 4).rank == 0


@pytest.mark.parametrize("scale", [1e-6, 1e-3])
def test_estimates_the_noise_of_each_unit(scale: float) -> None:
    gradient, _ = product(100, 300, 3, seed=2)
    sizes = scale * torch.linspace(1, 5, 100, dtype=torch.float64)
    noisy = gradient + sizes[:, None] * torch.randn(gradient.shape, generator=seeded(3), dtype=torch.float64)
    ratio = factorize(noisy, 3).noise / sizes
    # The bound for errors along one direction adds to the noise, so the estimate is on the safe side.
    assert 0.8 < float(ratio.min()) < float(ratio.max()) < 15


def test_a_vector_of_the_row_space_has_no_part_outside() -> None:
    gradient, samples = product(20, 30, 3, seed=4)
    other = torch.randn(1, 30, generator=seeded(5), dtype=torch.float64)
    outside = outside_row_space(torch.cat([samples, other]), factorize(gradient, 3))
    assert float(outside[:3].max()) < 1e-9
    assert float(outside[3]) > 0.5
