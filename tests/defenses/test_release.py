import pytest
import torch

from palimpsest.defenses import (
    ClipNoise,
    FixedFunction,
    GaussianNoise,
    GaussianRelease,
    GradientPerturbation,
    OrthogonalObfuscation,
    UnboundedRelease,
)
from palimpsest.defenses.release import clip_to
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES

PROOFS = torch.randn(3, 50, generator=make_generator(1)) * torch.tensor([[0.01], [1.0], [10.0]])


@pytest.mark.parametrize(("name", "kind"), list(DEFENSES))
def test_a_defense_is_a_fixed_function_exactly_if_it_is_not_randomized(name, kind):
    defense = kind()
    assert isinstance(defense.release(), FixedFunction) == (not defense.randomized)


@pytest.mark.parametrize(
    "defense", [GaussianNoise(sigma=0.3), ClipNoise(clip=2.0, epsilon=5.0), ClipNoise(releases=4)]
)
def test_releases_have_the_described_mean_and_noise(defense):
    release = defense.release()
    assert isinstance(release, GaussianRelease)
    defended = torch.stack([defense(PROOFS, generator=make_generator(seed)) for seed in range(400)])
    noise = defended - release.mean(PROOFS)
    assert float(noise.std()) == pytest.approx(release.sigma, rel=0.02)
    assert float(noise.mean(0).std()) == pytest.approx(release.sigma / 20, rel=0.3)
    if release.radius is not None:
        assert release.mean(PROOFS).norm(dim=1).max() <= release.radius * (1 + 1e-6)


def test_no_noise_is_a_fixed_function():
    assert GaussianNoise(sigma=0.0).release() == FixedFunction()
    assert GradientPerturbation(scale=0.0).release() == FixedFunction()


def test_dependent_noise_has_no_bound():
    for defense in (GradientPerturbation(), OrthogonalObfuscation(), OrthogonalObfuscation(rescale=False)):
        release = defense.release()
        assert isinstance(release, UnboundedRelease)
        assert release.reason
    assert "radii" not in OrthogonalObfuscation(rescale=False).release().reason  # type: ignore[union-attr]


def test_a_randomized_defense_without_a_description_has_no_bound():
    class Mystery(GaussianNoise):
        def release(self):
            return super(GaussianNoise, self).release()

    release = Mystery().release()
    assert isinstance(release, UnboundedRelease)
    assert "does not describe" in release.reason


def test_clipping_scales_long_rows_only():
    clipped = clip_to(1.0)(PROOFS)
    torch.testing.assert_close(clipped[0], PROOFS[0])
    torch.testing.assert_close(clipped[1:].norm(dim=1), torch.ones(2))
    assert clip_to(1.0)(torch.zeros(1, 3)).tolist() == [[0, 0, 0]]
