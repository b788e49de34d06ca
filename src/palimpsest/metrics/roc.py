"""ROC curves of membership tests: area, true positive rates at controlled false positive rates, exact intervals."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.metrics.rates import Rate, area, share
from palimpsest.storage import Record

RATES = (0.01, 0.001)
"""False positive rates at which a test's true positive rate is measured (Carlini et al. 2022, section III)."""


@dataclass(frozen=True)
class Detection:
    """True positive rate of a test whose false positive rate is controlled.

    Args:
        rate: Largest allowed false positive rate, in (0, 1).
        needed: Smallest number of nonmembers at which the rate can be measured: one of them is a share of `rate`.
        found: True positive rate with its exact 95 % interval; chance is `rate`. None if the rate is not measurable,
            because there are fewer nonmembers than `needed`.
    """

    rate: float
    needed: int
    found: Rate | None


@dataclass(frozen=True)
class Roc(Record):
    """Receiver operating characteristic of a test.

    Args:
        false_positives: Share of nonmembers at or above each threshold, ascending from 0 to 1, `[t]`.
        true_positives: Share of members at or above the same threshold, `[t]`.
        members: Number of members.
        nonmembers: Number of nonmembers.
    """

    false_positives: Tensor
    true_positives: Tensor
    members: int
    nonmembers: int

    @property
    def auc(self) -> Rate:
        """Area under the curve with the interval of `area_interval`; 0.5 is chance."""
        value = float(torch.trapezoid(self.true_positives, self.false_positives))
        return area(min(1.0, max(0.0, value)), self.members, self.nonmembers)

    def detection(self, rate: float) -> Detection:
        """Return the true positive rate at the lowest threshold that at most a share `rate` of the nonmembers reaches.

        Args:
            rate: Largest allowed false positive rate, in (0, 1).

        Returns:
            The true positive rate with its exact interval (Clopper and Pearson), or the number of nonmembers that are
            needed to measure it.
        """
        needed = math.ceil(1 / rate - 1e-9)
        if self.nonmembers < needed:
            return Detection(rate, needed, None)
        # A share such as 3 of 300 must count as 0.01, whatever the rounding.
        allowed = self.false_positives <= rate * (1 + 1e-9)
        value = float(self.true_positives[allowed].max())
        return Detection(rate, needed, share(value, self.members, chance=rate))


def roc(members: Tensor, nonmembers: Tensor) -> Roc:
    """Compute the curve of a score that is higher for members.

    Samples with equal scores share one point of the curve, so that ties count half in the area.

    Args:
        members: Scores of samples that were trained on, `[n]`, n at least 1.
        nonmembers: Scores of samples that were not, `[m]`, m at least 1.

    Returns:
        The curve, in float64.
    """
    scores = torch.cat([members, nonmembers]).double()
    thresholds = scores.unique().flip(0)
    return Roc(
        false_positives=_reached(nonmembers.double(), thresholds),
        true_positives=_reached(members.double(), thresholds),
        members=len(members),
        nonmembers=len(nonmembers),
    )


def best_threshold(members: Tensor, nonmembers: Tensor) -> float:
    """Return the score from which on a sample should be taken for a member: the balanced accuracy is highest there.

    Args:
        members: Scores of members, `[n]`, n at least 1.
        nonmembers: Scores of others, `[m]`, m at least 1.
    """
    thresholds = torch.cat([members, nonmembers]).double().unique().flip(0)
    gain = _reached(members.double(), thresholds) - _reached(nonmembers.double(), thresholds)
    return float(thresholds[gain[1:].argmax()])


def _reached(scores: Tensor, thresholds: Tensor) -> Tensor:
    """Return the share of scores at or above each threshold, after a point at zero."""
    below = torch.searchsorted(scores.sort().values, thresholds)
    reached = (len(scores) - below).double() / len(scores)
    return torch.cat([torch.zeros(1, dtype=torch.float64), reached])
