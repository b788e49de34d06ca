import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.defenses import RandomProjection
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator

sizes = st.integers(1, 60).flatmap(lambda d: st.tuples(st.just(d), st.integers(1, d)))


def project(proofs, *, generator_seed=0, **settings):
    return RandomProjection(**settings)(proofs, generator=make_generator(generator_seed))


@given(sizes, st.integers(0, 2**31))
def test_equals_a_product_with_the_dense_matrix(size, seed):
    d, dimensions = size
    proofs = torch.randn(4, d, generator=make_generator(seed))
    defense = RandomProjection(dimensions=dimensions, seed=seed)
    matrix = torch.zeros(dimensions, d)
    for column, (bucket, sign) in enumerate(zip(*defense.matrix(d), strict=True)):
        matrix[bucket, column] = sign
    assert (matrix.abs().sum(0) == 1).all()
    torch.testing.assert_close(
        defense(proofs, generator=make_generator(0)), proofs @ matrix.T, rtol=1e-5, atol=1e-5
    )


def test_the_matrix_depends_only_on_its_seed():
    proofs = torch.randn(3, 50, generator=make_generator(0))
    projected = project(proofs, dimensions=9)
    assert torch.equal(project(proofs, dimensions=9, generator_seed=1), projected)
    assert not torch.equal(project(proofs, dimensions=9, seed=1), projected)


def test_preserves_squared_norms_in_expectation():
    proof = torch.randn(1, 500, generator=make_generator(0)).pow(3)
    ratios = torch.stack(
        [
            RandomProjection(dimensions=50, seed=seed)(proof, generator=make_generator(0)).square().sum()
            for seed in range(400)
        ]
    ) / float(proof.square().sum())
    assert abs(float(ratios.mean()) - 1) < 4 * (2 / 50 / 400) ** 0.5
    assert float(ratios.std()) < 1.1 * (2 / 50) ** 0.5


def test_rejects_more_dimensions_than_coordinates():
    with pytest.raises(ConfigurationError, match=r"6 dimensions, but a proof has only 5 coordinates"):
        project(torch.ones(1, 5), dimensions=6)
    assert project(torch.ones(1, 5), dimensions=5).shape == (1, 5)
