"""Scores of the control groups, next to those of the forgotten samples."""

from palimpsest.metrics import ControlGroupMetrics, Scores, score_control_group
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.randomness import make_generator


def control_group_metrics(outcome: Outcome) -> dict[str, ControlGroupMetrics]:
    """Score the reconstructions of retained and never-trained samples, and compare them with the forgotten ones.

    Args:
        outcome: The results of all stages.

    Returns:
        The metrics of each group, by name; empty if no group was attacked.
    """
    scores = outcome.scored.scores
    if not isinstance(scores, Scores):
        return {}
    return {
        name: score_control_group(
            group.images,
            group.samples.images,
            scores.mse,
            same_classes=group.same_classes,
            resamples=outcome.config.scoring.bootstrap,
            generator=make_generator(outcome.config.seed, "bootstrap", "control group", name),
        )
        for name, group in outcome.control_groups.items()
    }
