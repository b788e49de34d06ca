import pytest
import torch

from palimpsest.bounds import centered_gram, compare_pair, farthest_pairs, pair_distances, run_canaries
from palimpsest.bounds.channel import DIFFERENCE, score_pair, score_pairs
from palimpsest.defenses import GaussianNoise, OrthogonalObfuscation, RandomProjection, SignCompression
from palimpsest.randomness import make_generator

ANSWERS = torch.randn(12, 40, generator=make_generator(1))


def test_the_test_of_gaussian_noise_has_the_power_of_the_best_one():
    pair, sigma = ANSWERS[:2], 4.0
    mu = float((pair[0] - pair[1]).norm()) / sigma
    found = compare_pair(pair, [GaussianNoise(sigma=sigma)], releases=600, generator=make_generator(2))
    assert found.statistic == DIFFERENCE
    middle = (found.first.mean() + found.second.mean()) / 2
    right = ((found.first > middle).double().mean() + (found.second <= middle).double().mean()) / 2
    expected = float(torch.distributions.Normal(0, 1).cdf(torch.tensor(mu / 2)))
    assert float(right) == pytest.approx(expected, abs=0.05)


def test_obfuscation_is_separated_by_the_linkage_attacks_statistics():
    found = compare_pair(
        ANSWERS[:2] * torch.tensor([[1.0], [2.0]]),
        [OrthogonalObfuscation()],
        releases=20,
        generator=make_generator(3),
    )
    assert found.statistic in ("norm", "orthogonality")
    assert found.first.min() > found.second.max()


def test_defenses_that_change_the_length_have_no_difference():
    found = compare_pair(
        ANSWERS[:2], [RandomProjection(dimensions=8)], releases=8, generator=make_generator(4)
    )
    assert found.statistic != DIFFERENCE
    assert found.measure(delta=1e-5).releases == 4


def test_releases_have_fresh_noise_in_every_chunk():
    found = compare_pair(ANSWERS[:2], [GaussianNoise(sigma=1.0)], releases=130, generator=make_generator(5))
    assert len(found.first.unique()) == 130


def test_canaries_are_counted():
    pairs = ANSWERS.view(6, 2, 40)
    clear = run_canaries(pairs, [SignCompression()], statistic="imitation", generator=make_generator(6))
    assert (clear.correct, clear.guesses, clear.canaries) == (3, 3, 6)
    many = pairs.repeat(100, 1, 1)
    noisy = run_canaries(many, [GaussianNoise(sigma=1e4)], statistic=DIFFERENCE, generator=make_generator(7))
    assert 0.4 < noisy.correct / noisy.guesses < 0.6
    assert noisy.epsilon(delta=1e-5) < 1


def test_pairs_are_scored_like_one_pair():
    released, pair = ANSWERS[2:7], ANSWERS[:2]
    one = score_pair(released, pair, pair.sign())
    many = score_pairs(released, pair.expand(5, -1, -1), pair.sign().expand(5, -1, -1))
    assert one.keys() == many.keys()
    for name, scores in one.items():
        torch.testing.assert_close(scores, many[name], rtol=1e-4, atol=1e-4)


def test_pairs_lie_at_opposite_ends():
    vectors = torch.outer(torch.tensor([0.0, 5.0, 1.0, 9.0, 2.0]), torch.ones(3))
    gram = centered_gram(vectors)
    pairs = farthest_pairs(gram, 10)
    assert {frozenset(pair) for pair in pairs.tolist()} == {frozenset({0, 3}), frozenset({1, 2})}
    torch.testing.assert_close(
        pair_distances(gram, pairs), (vectors[pairs[:, 0]] - vectors[pairs[:, 1]]).norm(dim=1).double()
    )
    assert len(farthest_pairs(gram, 1)) == 1
