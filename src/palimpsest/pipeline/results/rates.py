"""Shares and areas with exact confidence intervals and chance levels, and counts of excluded replies."""

from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from palimpsest.config import VerificationConfig
from palimpsest.federation import Round
from palimpsest.federation.intake import NO_DATA
from palimpsest.metrics import (
    FALSE_POSITIVE_RATE,
    Forgetting,
    Rate,
    SampleScores,
    Scores,
    area,
    area_interval,
    share,
)
from palimpsest.metrics.schema_bounds import EpsilonMetrics
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.proofs import Verdicts


def outcome_rates(outcome: Outcome) -> dict[str, Rate]:
    """Compute every share and area under a curve of an outcome, by name.

    Args:
        outcome: The results of all stages.
    """
    scored, rates = outcome.scored, dict[str, Rate]()
    if scored.scores is not None:
        rates |= identification_rates(scored.scores)
    if scored.linkage is not None and outcome.forgotten is not None:
        rates["linkage_auc"] = linkage_area(scored.linkage.auc, len(outcome.forgotten))
    if outcome.bounds is not None and outcome.bounds.metrics.epsilon is not None:
        rates |= release_rates(outcome.bounds.metrics.epsilon)
    if outcome.verdicts is not None:
        rates["accepted"] = acceptance_rate(outcome.verdicts, outcome.config.verification)
    if isinstance(outcome.source, Federated):
        rates |= federation_rates(outcome.source)
    if outcome.forgetting is not None and outcome.forgotten is not None:
        sizes = {"forgotten": len(outcome.forgotten), "test": len(outcome.auxiliary)}
        rates |= forgetting_rates(outcome.forgetting, sizes, classes=outcome.auxiliary.classes)
    if (
        scored.batches is not None
        and scored.batches.label_accuracy is not None
        and outcome.forgotten is not None
    ):
        rates["label_accuracy"] = label_rate(scored.batches.label_accuracy, outcome.forgotten.labels)
    return rates


def identification_rates(scores: Scores | SampleScores) -> dict[str, Rate]:
    """Compute the shares of samples that are identified by the first guess and within five guesses.

    Args:
        scores: The scores of the attack and of the baselines, whose names are appended to those of the shares.
    """
    chance = scores.chance()
    parts = {"": scores.reconstruction()}
    parts |= {f"_{baseline}": means for baseline, means in scores.baselines.items()}
    return {
        f"{name}{suffix}": share(float(means[name] or 0.0), int(means["count"] or 0), chance=chance[name])
        for suffix, means in parts.items()
        for name in ("identification_top1", "identification_top5")
    }


def linkage_area(value: float, count: int) -> Rate:
    """Add an interval to the linkage attack's area under the ROC curve over all pairs.

    A comparison of a matching pair with a wrong one involves up to three samples, so n samples have n / 3 comparisons
    that share none. The interval is that of as many positives and negatives.

    Args:
        value: The area, in [0, 1].
        count: Number of proofs n.
    """
    independent = max(1, count // 3)
    low, high = area_interval(value, independent, independent)
    return Rate(value, low, high, 0.5, count)


def release_rates(epsilon: EpsilonMetrics) -> dict[str, Rate]:
    """Add intervals to the power and the level of the test between releases of two samples.

    Args:
        epsilon: The measured privacy loss.
    """
    shares = {"release_power": epsilon.power, "release_level": epsilon.level}
    return {name: share(value, epsilon.releases) for name, value in shares.items()}


def acceptance_rate(verdicts: Verdicts, verification: VerificationConfig) -> Rate:
    """Compute the share of accepted proofs.

    For comparison, its `chance` is the share of the calibration samples that the verifier accepts, if calibrated.

    Args:
        verdicts: The verifier's verdicts.
        verification: The settings that determined its threshold.
    """
    chance = verification.quantile if verification.tau == "calibrated" else None
    accepted = verdicts.accepted
    return share(float(accepted.double().mean()), len(accepted), chance=chance)


def label_rate(correct: float, labels: Tensor) -> Rate:
    """Add an interval to the share of correct labels; its chance level is the share of the most frequent class.

    Args:
        correct: The share, in [0, 1].
        labels: The true labels, `[n]`.
    """
    return share(correct, len(labels), chance=float(labels.bincount().max()) / len(labels))


def federation_rates(federated: Federated) -> dict[str, Rate]:
    """Compute accuracies and membership inference rates of the original, unlearned and retrained models.

    Args:
        federated: Results of the training and unlearning stages.
    """
    data = federated.federation.data
    count = len(federated.unlearned.forgotten)
    sizes = {"retained": len(data.train) - count, "forgotten": count, "test": len(data.test)}
    return forgetting_rates(federated.forgetting, sizes, classes=data.train.classes)


def forgetting_rates(forgetting: Forgetting, sizes: dict[str, int], *, classes: int) -> dict[str, Rate]:
    """Add intervals to the accuracies and membership inference rates of each model, and to their agreement.

    Args:
        forgetting: The measurements.
        sizes: Number of samples on which `retained`, `forgotten` and `test` were measured; 0 if there are none.
        classes: Number of classes, which gives the chance level of an accuracy.
    """
    models = {
        "original": forgetting.original,
        "unlearned": forgetting.unlearned,
        "retrained": forgetting.retrained,
    }
    rates: dict[str, Rate] = {}
    for model, behavior in models.items():
        if behavior is None:
            continue
        for split, size in sizes.items():
            if size:
                value = getattr(behavior, split)
                rates[f"accuracy_{split}_{model}"] = share(value, size, chance=1 / classes)
        count = sizes["forgotten"]
        rates[f"membership_auc_{model}"] = area(behavior.membership.auc, count, forgetting.others)
        rates[f"membership_tpr_{model}"] = share(behavior.membership.tpr, count, chance=FALSE_POSITIVE_RATE)
    # The retrained model agrees with itself by definition, which needs no interval.
    if forgetting.distance is not None and forgetting.distance.absolute > 0 and sizes["test"]:
        rates["agreement"] = share(forgetting.distance.agreement, sizes["test"])
    return rates


def excluded_replies(rounds: Sequence[Round]) -> dict[int, dict[str, int]]:
    """Count each client's excluded replies by reason; replies of clients without data are not counted.

    Args:
        rounds: The rounds of a training.

    Returns:
        Numbers of excluded replies by client and reason.
    """
    counted: dict[int, Counter[str]] = {}
    for finished in rounds:
        for client, reason in finished.excluded.items():
            if reason != NO_DATA:
                counted.setdefault(client, Counter())[reason] += 1
    return {client: dict(reasons) for client, reasons in sorted(counted.items())}
