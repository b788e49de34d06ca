import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.attacks.intersection import fit_direction_prior, intersect, minimize_on_sphere
from palimpsest.defenses import OrthogonalObfuscation, SampleSeededObfuscation
from palimpsest.randomness import make_generator


@given(st.integers(0, 2**31), st.integers(2, 6), st.floats(0.1, 3))
@settings(max_examples=30)
def test_finds_the_minimum_on_the_sphere(seed: int, k: int, radius: float) -> None:
    generator = make_generator(seed)
    square = torch.randn(k, k, dtype=torch.float64, generator=generator)
    quadratic, linear = square + square.T, torch.randn(k, dtype=torch.float64, generator=generator)

    def value(points: torch.Tensor) -> torch.Tensor:
        return ((points @ quadratic) * points).sum(-1) / 2 - points @ linear

    minimum = minimize_on_sphere(quadratic, linear, radius)
    assert float(minimum.norm()) == pytest.approx(radius)
    random_points = torch.nn.functional.normalize(
        torch.randn(5000, k, dtype=torch.float64, generator=generator), dim=1
    )
    assert value(minimum) <= value(radius * random_points).min() + 1e-9


def test_without_a_linear_term_the_minimum_is_the_smallest_eigenvector() -> None:
    quadratic = torch.diag(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))
    minimum = minimize_on_sphere(quadratic, torch.zeros(3, dtype=torch.float64), 2.0)
    torch.testing.assert_close(minimum.abs(), torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64))


def obfuscated(defense: OrthogonalObfuscation, proof: torch.Tensor, count: int) -> torch.Tensor:
    proofs = defense(proof.expand(count, -1), generator=make_generator(5))
    return torch.nn.functional.normalize(proofs, dim=1)


def scenario() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the auditor's reduced directions, a proof, and its reduced direction.

    All directions lie almost inside the first 10 of 300 dimensions, onto which they are reduced.
    """
    generator = make_generator(1)
    vectors = 0.02 * torch.randn(401, 300, generator=generator)
    vectors[:, :10] += torch.randn(401, 10, generator=generator) + 0.3
    directions = torch.nn.functional.normalize(vectors, dim=1)
    return directions[:400, :10], directions[400], directions[400, :10]


def test_many_proofs_reveal_the_direction_but_one_does_not() -> None:
    auxiliary, proof, truth = scenario()
    prior = fit_direction_prior(auxiliary)

    def alignment(count: int) -> float:
        proofs = obfuscated(OrthogonalObfuscation(), proof, count)[:, :10]
        estimate = intersect(300 * proofs.T @ proofs, prior)
        return float(torch.cosine_similarity(estimate.float(), truth, 0).abs())

    assert alignment(3000) > 0.99
    assert alignment(1) < 0.9


def test_sample_seeded_obfuscation_repeats_the_same_proof() -> None:
    _, proof, _ = scenario()
    proofs = obfuscated(SampleSeededObfuscation(key=3), proof, 50)
    assert torch.equal(proofs[0].expand(50, -1), proofs)


def test_without_proofs_the_estimate_follows_the_prior() -> None:
    auxiliary, _, _ = scenario()
    prior = fit_direction_prior(auxiliary)
    estimate = intersect(torch.zeros(10, 10), prior)
    assert float(estimate.square().sum()) == pytest.approx(prior.inside)
    assert torch.cosine_similarity(estimate, prior.mean, 0) > 0.5
