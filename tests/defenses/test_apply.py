import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.config import DefenseConfig
from palimpsest.defenses import (
    ClipNoise,
    Defense,
    GaussianNoise,
    GradientPruning,
    OrthogonalObfuscation,
    RandomProjection,
    SampleSeededObfuscation,
    SignCompression,
    apply_defenses,
    defend,
    defend_chunks,
    describe,
    published_noise,
)
from palimpsest.errors import ConfigurationError, ProofError
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES

PROOFS = torch.randn(5, 30, generator=make_generator(9))
LIST = (GaussianNoise(sigma=0.1), GradientPruning(ratio=0.5), OrthogonalObfuscation())


def apply(proofs, *components):
    return apply_defenses(proofs, components, generator=make_generator(0))


@pytest.mark.parametrize("name", [name for name in DEFENSES.names() if name != "project"])
def test_defend_applies_the_named_defense(name):
    expected = DEFENSES.get(name)()(PROOFS, generator=make_generator(1))
    assert torch.equal(defend(PROOFS, name, generator=make_generator(1)), expected)


def test_defend_passes_the_settings_on():
    assert int(defend(PROOFS, "prune", generator=make_generator(0), ratio=0.9).count_nonzero()) == 15


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("prun", {}, r"no defense 'prun': did you mean 'prune'"),
        ("prune", {"ration": 0.5}, r"'ration' is not a key here: did you mean 'ratio'"),
        ("prune", {"ratio": 1.5}, r"ratio is 1\.5: .*less than or equal to 1"),
        ("smooth", {"window": 31}, r"window of 31, but a proof has only 30"),
    ],
)
def test_defend_rejects_unknown_names_and_settings(name, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        defend(PROOFS, name, generator=make_generator(0), **settings)


def test_defenses_are_applied_in_order():
    noise_then_sign = apply(PROOFS, GaussianNoise(), SignCompression())
    sign_then_noise = apply(PROOFS, SignCompression(), GaussianNoise())
    assert set(noise_then_sign.unique().tolist()) == {-1.0, 1.0}
    assert len(sign_then_noise.unique()) == PROOFS.numel()


def test_no_defense_changes_nothing():
    assert torch.equal(apply(PROOFS), PROOFS)


@given(st.lists(st.integers(0, 5), max_size=4))
def test_chunks_equal_the_whole(cuts):
    chunks = PROOFS.tensor_split(sorted(cuts))
    streamed = torch.cat(list(defend_chunks(chunks, LIST, generator=make_generator(0))))
    assert torch.equal(streamed, apply(PROOFS, *LIST))


def test_each_defense_has_a_separate_generator():
    # The first defense draws unused numbers or none at all; neither may change the noise of the second.
    after_noise = apply(PROOFS, GaussianNoise(sigma=0), GaussianNoise())
    after_sign = apply(PROOFS, SignCompression(), GaussianNoise())
    torch.testing.assert_close(after_noise - PROOFS, after_sign - PROOFS.sign())
    both = apply(torch.zeros(1, 400), GaussianNoise(), GaussianNoise())
    assert float(both.std()) == pytest.approx(0.1 * 2**0.5, rel=0.2)


def test_only_the_sample_seeded_defense_repeats_its_result():
    generator = make_generator(0)
    for defense, same in ((OrthogonalObfuscation(), False), (SampleSeededObfuscation(), True)):
        first = apply_defenses(PROOFS, [defense], generator=generator)
        second = apply_defenses(PROOFS, [defense], generator=generator)
        assert torch.equal(first, second) == same


def test_a_projection_can_be_the_first_defense():
    assert apply(PROOFS, RandomProjection(dimensions=8), GaussianNoise()).shape == (5, 8)


def test_the_description_rebuilds_the_same_defenses_from_json():
    described = json.loads(json.dumps(describe(LIST)))
    assert described[1] == {"name": "prune", "ratio": 0.5}
    assert tuple(DefenseConfig(**entry).build() for entry in described) == LIST


def test_the_description_omits_secrets():
    assert "12345" not in json.dumps(describe([SampleSeededObfuscation(key=12345)]))


def test_rejects_the_description_of_an_unregistered_defense():
    class Nameless(Defense):
        def __call__(self, proofs, *, generator):
            return proofs

    with pytest.raises(ConfigurationError, match="Nameless has no name"):
        describe([Nameless()])


def test_rejects_nan():
    with pytest.raises(ProofError, match="Proof 0"):
        apply(torch.full((1, 30), torch.nan), *LIST)


def test_published_noise_is_that_of_the_release():
    release = ClipNoise(clip=2.0, epsilon=1.0)
    assert published_noise([release]) == (release.sigma, 2.0)
    sigma, clip = published_noise([release, GaussianNoise(sigma=3.0)])
    assert (sigma, clip) == (pytest.approx((release.sigma**2 + 9) ** 0.5), 2.0)
    long = 50 * torch.ones(200, 100)
    released = apply(long, release, GaussianNoise(sigma=3.0))
    assert float((released - 0.2).std()) == pytest.approx(sigma, rel=0.02)


@pytest.mark.parametrize(
    "components",
    [
        [],
        [GaussianNoise(sigma=0.0)],
        [SignCompression()],
        [GaussianNoise(sigma=0.1), SignCompression()],
        [GaussianNoise(sigma=0.1), ClipNoise()],
    ],
)
def test_other_releases_publish_no_noise(components):
    assert published_noise(components) is None
