"""Comparison of the reported attack with its prior alone, image by image."""

from palimpsest.datasets import ImageSet
from palimpsest.metrics import PriorComparison, Scores, compare_with_prior, mean_image, mean_squared_errors
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.randomness import make_generator


def prior_comparison(outcome: Outcome) -> PriorComparison | None:
    """Compare the attack's errors with those of the images that it would return without any proof or gradient.

    Args:
        outcome: The results of all stages.

    Returns:
        The comparison with the public images from which the attack started, or with the mean auxiliary image if it
        started from none of them. None if the samples are not images or the forgotten samples are unknown.
    """
    scores, forgotten, auxiliary = outcome.scored.scores, outcome.forgotten, outcome.auxiliary
    if (
        not isinstance(scores, Scores)
        or not isinstance(forgotten, ImageSet)
        or not isinstance(auxiliary, ImageSet)
    ):
        return None
    batches = outcome.scored.batches
    if batches is not None and batches.prior is not None:
        prior, errors = "start", batches.prior.mse
    else:
        answer = mean_image(auxiliary.images, len(forgotten))
        prior, errors = "mean image", mean_squared_errors(answer, forgotten.images)
    return compare_with_prior(
        scores.mse,
        errors,
        prior=prior,
        resamples=outcome.config.scoring.bootstrap,
        generator=make_generator(outcome.config.seed, "bootstrap", "prior comparison"),
    )
