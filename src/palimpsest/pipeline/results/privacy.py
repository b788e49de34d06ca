"""Differential privacy of a federation's training and unlearning."""

from palimpsest.federation import worst_epsilon
from palimpsest.metrics import PrivacyMetrics
from palimpsest.pipeline.results.outcome import Federated


def privacy_metrics(federated: Federated) -> PrivacyMetrics | None:
    """Account for the steps of DP-SGD in training and in unlearning.

    Args:
        federated: Results of the training and unlearning stages.

    Returns:
        The privacy losses, or None if the federation does not use DP-SGD.
    """
    config = federated.federation.config
    if config.dp_noise_multiplier is None:
        return None
    training, unlearning = federated.original.releases, federated.unlearned.releases
    return PrivacyMetrics(
        noise_multiplier=config.dp_noise_multiplier,
        clip=config.dp_clip,
        delta=config.dp_delta,
        epsilon_training=worst_epsilon(training, config.dp_delta),
        epsilon_unlearning=worst_epsilon(unlearning, config.dp_delta),
        epsilon=worst_epsilon([*training, *unlearning], config.dp_delta),
    )
