"""Audit of the proofs' release itself: tests between samples of the auditor, whose proofs are defended repeatedly."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.bounds.empirical_epsilon import MeasuredEpsilon, measure_epsilon
from palimpsest.bounds.one_run import count_guesses, one_run_epsilon
from palimpsest.defenses import Defense, apply_defenses
from palimpsest.proofs import fit_statistics
from palimpsest.randomness import fork, make_generator

DIFFERENCE = "difference"
"""Name of the statistic that is optimal for Gaussian noise: the inner product with the difference of two samples."""
_CHUNK = 64
_GUESSED = 0.5


@dataclass(frozen=True)
class PairTest:
    """Scores of repeated releases of two samples, by the statistic that separates their first halves best.

    Args:
        statistic: Name of the statistic.
        first: Scores of the first sample's releases, `[t]` float64; higher speaks for the first sample.
        second: Scores of the second sample's releases, `[t]` float64.
    """

    statistic: str
    first: Tensor
    second: Tensor

    def measure(self, *, delta: float, confidence: float = 0.95) -> MeasuredEpsilon:
        """Bound epsilon from below; see `measure_epsilon`."""
        return measure_epsilon(self.first, self.second, delta=delta, confidence=confidence)


def compare_pair(
    answers: Tensor,
    defenses: Sequence[Defense],
    *,
    releases: int,
    generator: Generator,
    means: Tensor | None = None,
) -> PairTest:
    """Release two samples repeatedly with fresh noise, and score the releases like the linkage attack.

    Args:
        answers: Undefended gradient differences of the two samples, `[2, d]`.
        defenses: The clients' defenses, in order.
        releases: Number of releases of each sample, at least 4.
        generator: Source of the defenses' randomness.
        means: Means of their releases, `[2, d]`, if the noise is Gaussian: only `difference` is then computed. None
            means that the statistics of the linkage attack are tried.

    Returns:
        The scores of the best statistic. It is chosen on the first halves, on which the threshold is chosen too.
    """
    imitations = apply_defenses(answers, defenses, generator=generator)

    def score(released: Tensor) -> dict[str, Tensor]:
        if means is not None and means.shape[1] == released.shape[1]:
            return {DIFFERENCE: difference_scores(released, means.expand(len(released), -1, -1))}
        fits = fit_statistics(released, answers, imitations)
        return {name: values[:, 0] - values[:, 1] for name, values in fits.items()}

    first, second = (
        _join(score(chunk) for chunk in _releases(answers[row], defenses, releases, generator))
        for row in range(2)
    )
    half = releases // 2

    def separation(name: str) -> float:
        left, right = first[name][:half], second[name][:half]
        above = (left[:, None] > right).double() + (left[:, None] == right).double() / 2
        return abs(float(above.mean()) - 0.5)

    statistic = max(first, key=separation)
    return PairTest(statistic, first[statistic], second[statistic])


@dataclass(frozen=True)
class OneRun:
    """Guesses about canaries that were released once.

    Args:
        correct: Number of correct guesses.
        guesses: Number of guesses.
        canaries: Number of canaries.
    """

    correct: int
    guesses: int
    canaries: int

    def epsilon(self, *, delta: float, confidence: float = 0.95) -> float:
        """Bound epsilon from below; see `one_run_epsilon`."""
        return one_run_epsilon(
            self.correct, self.guesses, canaries=self.canaries, delta=delta, confidence=confidence
        )


def run_canaries(
    pairs: Tensor,
    defenses: Sequence[Defense],
    *,
    statistic: str,
    generator: Generator,
    means: Tensor | None = None,
) -> OneRun:
    """Release one sample of each pair, chosen by a fair coin, and guess the coins.

    Args:
        pairs: Undefended gradient differences of the canaries' two samples, `[m, 2, d]`.
        defenses: The clients' defenses, in order.
        statistic: Name of the statistic, chosen without these releases.
        generator: Source of the coins and of the defenses' randomness.
        means: Means of their releases, `[m, 2, d]`, for the statistic `difference`.

    Returns:
        The number of correct guesses among the half about which the scores are the most certain.
    """
    coins = torch.randint(2, (len(pairs),), generator=generator)
    chosen = pairs[torch.arange(len(pairs)), 1 - coins]
    released = apply_defenses(chosen, defenses, generator=generator)
    if statistic == DIFFERENCE and means is not None:
        scores = difference_scores(released, means)
    else:
        imitations = apply_defenses(pairs.flatten(0, 1), defenses, generator=generator)
        scores = score_pairs(released, pairs, imitations.unflatten(0, pairs.shape[:2]))[statistic]
    correct, guesses = count_guesses(scores, coins, share=_GUESSED)
    return OneRun(correct, guesses, len(pairs))


def difference_scores(released: Tensor, means: Tensor) -> Tensor:
    """Compare each release with two means by the statistic that is optimal for Gaussian noise.

    Args:
        released: Releases, `[t, d]`.
        means: Means of the two samples' releases, `[t, 2, d]`.

    Returns:
        Inner product of the release, seen from the middle of the means, with their difference, `[t]` float64: positive
        if the release is closer to the first mean.
    """
    differences = means[:, 0] - means[:, 1]
    products = [torch.linalg.vecdot(rows, differences).double() for rows in (released, means.mean(1))]
    return products[0] - products[1]


def score_pairs(released: Tensor, answers: Tensor, imitations: Tensor) -> dict[str, Tensor]:
    """Compare each release with its two samples by every statistic of the linkage attack.

    Args:
        released: Defended proofs, `[t, d']`.
        answers: Undefended gradient differences of the two samples of each, `[t, 2, d]`.
        imitations: Their imitated proofs, `[t, 2, d']`.

    Returns:
        By the statistic's name, the fit to the first sample minus the fit to the second, `[t]` float64.
    """
    fits = [
        fit_statistics(released, answers[:, place], imitations[:, place], paired=True) for place in range(2)
    ]
    return {name: fits[0][name] - fits[1][name] for name in fits[0]}


def farthest_pairs(gram: Tensor, count: int) -> Tensor:
    """Pair samples at opposite ends of the direction in which they differ most.

    Args:
        gram: Inner products of the centered vectors, `[m, m]` float64.
        count: Largest number of pairs; each sample occurs at most once.

    Returns:
        Indices, `[min(count, m // 2), 2]` int64, the most distant pair along that direction first.
    """
    _, directions = torch.linalg.eigh(gram)
    order = directions[:, -1].argsort()
    pairs = min(count, len(gram) // 2)
    return torch.stack([order[:pairs], order.flip(0)[:pairs]], 1)


def pair_distances(gram: Tensor, pairs: Tensor) -> Tensor:
    """Return the distance between the two vectors of each pair.

    Args:
        gram: Inner products of the centered vectors, `[m, m]` float64.
        pairs: Indices, `[n, 2]`.

    Returns:
        Distances, `[n]` float64.
    """
    first, second = pairs.T
    squares = gram[first, first] + gram[second, second] - 2 * gram[first, second]
    return squares.clamp_min(0).sqrt()


def _releases(
    answer: Tensor, defenses: Sequence[Defense], count: int, generator: Generator
) -> Iterator[Tensor]:
    """Yield chunks of releases of one sample, each as another client would release it."""
    for index in range(math.ceil(count / _CHUNK)):
        fresh = make_generator(fork(generator), "release", index)
        rows = min(_CHUNK, count - index * _CHUNK)
        yield apply_defenses(answer.expand(rows, -1), defenses, generator=fresh)


def _join(chunks: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    found = list(chunks)
    return {name: torch.cat([chunk[name] for chunk in found]) for name in found[0]}
