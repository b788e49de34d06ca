"""Test of the defenses' privacy: measured epsilon against what their noise guarantees."""

from collections.abc import Mapping, Sequence

from torch import Generator, Tensor

from palimpsest.bounds import (
    OneRun,
    PairTest,
    compare_pair,
    farthest_pairs,
    gaussian_epsilon,
    pair_distances,
    run_canaries,
)
from palimpsest.config import AttackingConfig
from palimpsest.defenses import Defense, GaussianRelease, Pipeline, PrivateRelease
from palimpsest.errors import BoundError
from palimpsest.metrics import EpsilonMetrics

DELTA = 1e-5
"""Probability with which the privacy loss may exceed epsilon, unless a defense states a larger one."""
RELEASES, CANARIES = 1000, 256
"""Largest numbers of releases of each sample of a pair, and of canaries."""
_NUMBERS, _FEWEST = 2**28, 64
# A false alarm at a tight guarantee is as rare as one in a million audits.
CERTAIN = 1 - 1e-6
"""Confidence of a measurement that is called a violation."""


def measure_privacy(
    config: AttackingConfig,
    pipeline: Pipeline,
    defenses: Sequence[Defense],
    answers: Tensor,
    gram: Tensor,
    generator: Generator,
) -> EpsilonMetrics:
    """Release samples of the auditor through the defenses, and measure how well they can be distinguished.

    Args:
        config: The defenses' names, for messages.
        pipeline: Description of the defenses.
        defenses: The defenses, as the clients run them.
        answers: Undefended gradient differences of auxiliary samples, `[m, d]`, m at least 4.
        gram: Inner products of the means of their releases, centered, `[m, m]` float64; see `centered_gram`.
        generator: Source of the defenses' randomness.

    Returns:
        Measured and guaranteed privacy loss.

    Raises:
        BoundError: The measured privacy loss exceeds the guaranteed one.
    """
    gaussian = isinstance(pipeline.first, GaussianRelease)
    pairs = farthest_pairs(gram, CANARIES)
    releases = max(_FEWEST, min(RELEASES, _NUMBERS // answers.shape[1]))
    means = pipeline.means(answers[pairs.flatten()]).view(*pairs.shape, -1) if gaussian else None
    test = compare_pair(
        answers[pairs[0]],
        defenses,
        releases=releases,
        generator=generator,
        means=None if means is None else means[0],
    )
    delta = max(
        [DELTA, *(promise.delta for promise in pipeline.promises if isinstance(promise, PrivateRelease))]
    )
    distances = pair_distances(gram, pairs)
    analytic, one_run_analytic = (
        _guaranteed(pipeline, distance, delta) for distance in (float(distances[0]), float(distances.max()))
    )
    check_privacy(
        test, analytic, delta, gaussian=gaussian, names=[defense.name for defense in config.defenses]
    )
    canaries = run_canaries(
        answers[pairs], defenses, statistic=test.statistic, generator=generator, means=means
    )
    guarantees = {
        "analytic": analytic,
        "any_samples": _promised(pipeline, delta),
        "one_run_analytic": one_run_analytic,
    }
    return _report(test, canaries, delta, guarantees)


def _report(
    test: PairTest, canaries: OneRun, delta: float, guarantees: Mapping[str, float | None]
) -> EpsilonMetrics:
    measured = test.measure(delta=delta)
    return EpsilonMetrics(
        delta=delta,
        **guarantees,
        measured=measured.epsilon,
        measured_gaussian=measured.gaussian_epsilon,
        statistic=test.statistic,
        power=measured.power,
        level=measured.level,
        releases=measured.releases,
        one_run=canaries.epsilon(delta=delta),
        canaries=canaries.canaries,
        guesses=canaries.guesses,
        correct=canaries.correct,
    )


def check_privacy(
    test: PairTest, analytic: float | None, delta: float, *, gaussian: bool, names: Sequence[str]
) -> None:
    """Check that the measured privacy loss does not exceed the guaranteed one, at a confidence of 1 - 1e-6.

    Args:
        test: Scores of releases of two samples.
        analytic: Epsilon that the defenses guarantee for these samples; None means no guarantee.
        delta: Probability with which the privacy loss may exceed epsilon.
        gaussian: Whether the defenses describe their noise as Gaussian, so that a test need not wait for rare releases.
        names: Names of the defenses, for the message.

    Raises:
        BoundError: The lower bound of epsilon at a confidence of 1 - 1e-6 is larger.
    """
    if analytic is None:
        return
    found = test.measure(delta=delta, confidence=CERTAIN)
    shown = max(found.epsilon, found.gaussian_epsilon) if gaussian else found.epsilon
    if shown > analytic:
        raise BoundError(
            f"The defenses {', '.join(names)} are less private than they describe: a test between two samples shows an "
            f"epsilon of at least {shown:.3g} at delta {delta:g}, but `Defense.release` gives {analytic:.3g}. "
            "Correct the noise of the defense, or its description."
        )


def _guaranteed(pipeline: Pipeline, distance: float, delta: float) -> float | None:
    """Return epsilon between two samples whose means are this far apart; None without a guarantee."""
    known = []
    if isinstance(pipeline.first, GaussianRelease):
        known.append(gaussian_epsilon(distance / pipeline.first.sigma, delta))
    promised = _promised(pipeline, delta, every=False)
    return min([*known, *([] if promised is None else [promised])], default=None)


def _promised(pipeline: Pipeline, delta: float, *, every: bool = True) -> float | None:
    """Return epsilon between any two samples, for one release or for every release together."""
    known = []
    for promise in pipeline.promises:
        if isinstance(promise, GaussianRelease):
            assert promise.radius is not None, "promises limit the norm"
            releases = promise.releases if every else 1
            known.append(gaussian_epsilon(2 * promise.radius * releases**0.5 / promise.sigma, delta))
        else:
            known.append(promise.epsilon)
    return min(known, default=None)
