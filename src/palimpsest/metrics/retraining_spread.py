"""Yardstick for the distance to exact retraining: the spread among retrainings with other seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class ModelReading(Record):
    """Outputs and parameters of one model, for the comparison with retrainings.

    Args:
        confidences: Logit-scaled confidence of the true class for each forgotten sample, `[f]`.
        losses: Cross-entropy of each forgotten sample, `[f]`.
        held_out_losses: Cross-entropy of samples of the same classes that no model was trained on, `[h]`.
        correct: Whether each forgotten sample is classified correctly, `[f]` bool.
        predictions: Predicted class of each test sample, `[t]` int64.
        test_accuracy: Accuracy on the test samples, in [0, 1].
        parameters: Trainable parameters, flattened, `[d]`.
    """

    confidences: Tensor
    losses: Tensor
    held_out_losses: Tensor
    correct: Tensor
    predictions: Tensor
    test_accuracy: float
    parameters: Tensor


@dataclass(frozen=True)
class Spread:
    """One quantity of an unlearned model beside the same quantity of retrained models.

    Args:
        value: Value of the unlearned model.
        mean: Mean of the retrained models.
        deviation: Their standard deviation, with n - 1 in the denominator.
        low: Lower end of the prediction interval for one more retraining.
        high: Upper end.
        flagged: True if the value lies outside the interval on a side that counts.
    """

    value: float
    mean: float
    deviation: float
    low: float
    high: float
    flagged: bool


@dataclass(frozen=True)
class RetrainingComparison(Record):
    """Distance of an unlearned model from retraining, beside the distances among the retrained models.

    Args:
        quantities: Spread of each quantity by name: `forgotten_accuracy`, `forgotten_loss`, `loss_gap` (held-out minus
            forgotten mean loss), `test_accuracy`, `parameter_distance` and `disagreement` (means over the retrained
            models).
        false_alarm: Probability with which an exact retraining is flagged, for the quantities together.
        models: Number of retrained models.
    """

    quantities: dict[str, Spread]
    false_alarm: float
    models: int

    @property
    def flagged(self) -> list[str]:
        """Quantities in which the model differs from a retraining, in alphabetical order; empty if it passes."""
        return sorted(name for name, spread in self.quantities.items() if spread.flagged)


def spread(
    value: float, retrained: Sequence[float], *, false_alarm: float = 0.05, upper_only: bool = False
) -> Spread:
    """Compare a value with the prediction interval of one more retraining, assuming normal values.

    Args:
        value: Value of the unlearned model.
        retrained: Values of the retrained models, at least two.
        false_alarm: Probability with which the interval misses the value of an exact retraining, in (0, 1).
        upper_only: Flag only values above the interval, as for distances, where nearer is not worse.

    Returns:
        The value, the retrained models' mean and deviation, and the interval
        `mean +- t sqrt(1 + 1/n) deviation` with n - 1 degrees of freedom.

    Source:
        Hahn and Meeker 1991, Statistical Intervals, section 4.8.
    """
    # Imported late because scipy.stats takes half a second to import.
    from scipy.stats import t

    values = torch.tensor(list(retrained), dtype=torch.float64)
    count = len(values)
    mean, deviation = values.mean().item(), values.std().item()
    quantile = float(t.ppf(1 - false_alarm / (1 if upper_only else 2), count - 1))
    reach = quantile * math.sqrt(1 + 1 / count) * deviation
    low, high = mean - reach, mean + reach
    return Spread(value, mean, deviation, low, high, value > high or (value < low and not upper_only))


def compare_with_retrainings(
    unlearned: ModelReading, retrained: Sequence[ModelReading], *, false_alarm: float = 0.05
) -> RetrainingComparison:
    """Compare an unlearned model with retrainings that differ by their seeds.

    The false alarm is divided by the number of quantities (Bonferroni). A distance of the unlearned model is its mean
    distance to the retrained models; it is compared with each retrained model's mean distance to the others.

    Args:
        unlearned: Reading of the unlearned model.
        retrained: Readings of the retrained models, at least three.
        false_alarm: Probability with which an exact retraining is flagged in any quantity, in (0, 1).

    Returns:
        The spread of each quantity.
    """
    everyone = [unlearned, *retrained]
    plain = {
        "forgotten_accuracy": [one.correct.double().mean().item() for one in everyone],
        "forgotten_loss": [one.losses.double().mean().item() for one in everyone],
        "loss_gap": [
            (one.held_out_losses.double().mean() - one.losses.double().mean()).item() for one in everyone
        ],
        "test_accuracy": [one.test_accuracy for one in everyone],
    }
    distances = {
        "parameter_distance": mean_distances(torch.stack([one.parameters for one in everyone])),
        "disagreement": mean_disagreements(torch.stack([one.predictions for one in everyone])),
    }
    each = false_alarm / (len(plain) + len(distances))
    quantities = {name: spread(first, rest, false_alarm=each) for name, (first, *rest) in plain.items()}
    quantities |= {
        name: spread(first, rest, false_alarm=each, upper_only=True)
        for name, (first, *rest) in distances.items()
    }
    return RetrainingComparison(quantities, false_alarm, len(retrained))


def mean_distances(parameters: Tensor) -> list[float]:
    """Return each model's mean L2 distance to the reference models.

    Args:
        parameters: `[1 + n, d]`: the compared model, then n reference models, at least two.

    Returns:
        1 + n distances. A reference model is compared with the other n - 1.
    """
    # Differences, not inner products: near models would lose their distance to rounding.
    pairs = torch.stack([(parameters - one).double().square().sum(1).sqrt() for one in parameters])
    return _means_over_references(pairs)


def mean_disagreements(predictions: Tensor) -> list[float]:
    """Return each model's mean share of samples to which it and a reference model assign different classes.

    Args:
        predictions: `[1 + n, t]` classes: of the compared model, then of n reference models, at least two.

    Returns:
        1 + n shares in [0, 1]. A reference model is compared with the other n - 1.
    """
    pairs = torch.stack([(predictions != one).double().mean(1) for one in predictions])
    return _means_over_references(pairs)


def _means_over_references(pairs: Tensor) -> list[float]:
    references = pairs[:, 1:]
    count = references.shape[1]
    # The diagonal is zero, so a reference model's sum has one term fewer.
    return [references[0].mean().item(), *(references[1:].sum(1) / (count - 1)).tolist()]
