import pytest
import torch

from palimpsest.bounds import centered_gram, compare_pair, farthest_pairs, pair_distances, run_canaries
from palimpsest.bounds.channel import DIFFERENCE, difference_scores, score_pairs
from palimpsest.defenses import GaussianNoise, OrthogonalObfuscation, RandomProjection, SignCompression
from palimpsest.proofs import fit_statistics
from palimpsest.randomness import make_generator

ANSWERS = torch.randn(12, 40, generator=make_generator(1))


def test_the_test_of_gaussian_noise_has_the_power_of_the_best_one():
    pair, sigma = ANSWERS[:2], 4.0
    mu = float((pair[0] - pair[1]).norm()) / sigma
    found = compare_pair(
        pair, [GaussianNoise(sigma=sigma)], releases=600, generator=make_generator(2), means=pair
    )
    assert found.statistic == DIFFERENCE
    right = ((found.first > 0).double().mean() + (found.second <= 0).double().mean()) / 2
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
    noise = [GaussianNoise(sigma=1e4)]
    noisy = run_canaries(many, noise, statistic=DIFFERENCE, generator=make_generator(7), means=many)
    assert 0.4 < noisy.correct / noisy.guesses < 0.6
    assert noisy.epsilon(delta=1e-5) < 1


def test_pairs_are_scored_like_the_linkage_attack():
    released, pairs = ANSWERS[2:7], ANSWERS[:10].view(5, 2, 40)
    scores = score_pairs(released, pairs, pairs.sign())
    for row in range(5):
        fits = fit_statistics(released[row : row + 1], pairs[row], pairs[row].sign())
        for name, values in fits.items():
            torch.testing.assert_close(scores[name][row], values[0, 0] - values[0, 1])


def test_differences_are_positive_on_the_side_of_the_first_mean():
    means = ANSWERS[:4].view(2, 2, 40)
    assert (difference_scores(means[:, 0], means) > 0).all()
    assert (difference_scores(means[:, 1], means) < 0).all()
    torch.testing.assert_close(
        difference_scores(means.mean(1), means), torch.zeros(2).double(), atol=1e-4, rtol=0
    )


def test_pairs_lie_at_opposite_ends():
    vectors = torch.outer(torch.tensor([0.0, 5.0, 1.0, 9.0, 2.0]), torch.ones(3))
    gram = centered_gram(vectors)
    pairs = farthest_pairs(gram, 10)
    assert {frozenset(pair) for pair in pairs.tolist()} == {frozenset({0, 3}), frozenset({1, 2})}
    torch.testing.assert_close(
        pair_distances(gram, pairs), (vectors[pairs[:, 0]] - vectors[pairs[:, 1]]).norm(dim=1).double()
    )
    assert len(farthest_pairs(gram, 1)) == 1
