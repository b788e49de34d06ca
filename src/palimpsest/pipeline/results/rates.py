"""Shares and areas with exact confidence intervals and chance levels, and counts of excluded replies."""

from collections import Counter
from collections.abc import Sequence

from torch import Tensor

from palimpsest.config import VerificationConfig
from palimpsest.federation import Round
from palimpsest.federation.intake import NO_DATA
from palimpsest.metrics import FALSE_POSITIVE_RATE, Forgetting, Rate, SampleScores, Scores, area, share
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
        scores: The attack's scores.
    """
    means, chance = scores.reconstruction(), scores.chance()
    return {
        name: share(float(means[name] or 0.0), int(means["count"] or 0), chance=chance[name])
        for name in ("identification_top1", "identification_top5")
    }


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
    """Add intervals to the accuracies and membership inference rates of each model.

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
