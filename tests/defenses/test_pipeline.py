import pytest
import torch

from palimpsest.defenses import (
    NO_BOUND,
    ClipNoise,
    FixedFunction,
    GaussianNoise,
    GaussianRelease,
    GradientPruning,
    OrthogonalObfuscation,
    PrivateRelease,
    SignCompression,
    pipeline_of,
)
from palimpsest.randomness import make_generator

PROOFS = torch.randn(3, 20, generator=make_generator(1))


class Private(GaussianNoise):
    def release(self):
        return PrivateRelease(2.0, 1e-6)


def test_no_defense_and_fixed_functions_have_no_bound():
    for defenses in ([], [SignCompression(), GradientPruning()]):
        pipeline = pipeline_of(defenses)
        assert pipeline.first == FixedFunction()
        assert pipeline.reason == NO_BOUND == "no bound: the proof is a fixed function of the sample"
        assert pipeline.promises == ()


def test_means_go_through_the_defenses_before_the_noise():
    pruning, noise = GradientPruning(ratio=0.5), GaussianNoise(sigma=2.0)
    pipeline = pipeline_of([pruning, noise, SignCompression()])
    assert isinstance(pipeline.first, GaussianRelease)
    assert pipeline.first.sigma == 2.0
    assert pipeline.reason == ""
    torch.testing.assert_close(pipeline.means(PROOFS), pruning(PROOFS, generator=torch.Generator()))


def test_the_first_random_step_decides_and_promises_hold_anywhere():
    clip = ClipNoise(clip=0.5)
    obfuscated = pipeline_of([OrthogonalObfuscation(), clip])
    assert obfuscated.reason.startswith("no bound: the defended proofs of two samples lie")
    assert [promise.radius for promise in obfuscated.promises] == [0.5]  # type: ignore[union-attr]
    both = pipeline_of([GaussianNoise(sigma=3.0), clip, Private()])
    assert both.first == GaussianNoise(sigma=3.0).release() or both.first.sigma == 3.0  # type: ignore[union-attr]
    assert len(both.promises) == 2


def test_other_releases_have_no_mean():
    with pytest.raises(AssertionError, match="no known mean"):
        pipeline_of([OrthogonalObfuscation()]).means(PROOFS)
