"""Scores of the linkage attack: which candidate image does a proof belong to?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from palimpsest.metrics.rates import binomial_interval
from palimpsest.storage import Record

if TYPE_CHECKING:
    from torch import Tensor

FALSE_POSITIVE_RATES = (0.001, 0.01)
"""Shares of wrong pairs that may be accepted where `LinkageScores.found` is measured."""


@dataclass(frozen=True)
class LinkageScores(Record):
    """Success of the linkage attack over n proofs and m candidates.

    Args:
        statistic: Name of the statistic that scored the pairs; see `palimpsest.proofs.fit_statistics`.
        identified: Share of proofs that fit their own image better than every other candidate, in [0, 1]; higher means
            more leakage.
        found: True positive rates at false positive rates of 0.1 % and 1 % over all pairs, in [0, 1]; higher means more
            leakage.
        auc: Area under the ROC curve over all pairs, in [0, 1]; 0.5 is chance, higher means more leakage.
        chance: Expected `identified` of a random guess: 1 / m.
        intervals: Exact 95 % intervals over the proofs, as `[low, high]`: of `identified`, then of each `found`.
    """

    statistic: str
    identified: float
    found: list[float]
    auc: float
    chance: float
    intervals: list[list[float]]


def score_linkage(scores: "Tensor", right: "Tensor", *, statistic: str) -> LinkageScores:
    """Compare the scores of matching pairs with those of the other pairs; ties count against the attacker.

    Args:
        scores: Fit of each proof to each candidate, `[n, m]`, m at least 2; higher means a better fit.
        right: Index of each proof's own candidate, `[n]` int64.
        statistic: Name of the statistic behind the scores.

    Returns:
        The rates with their exact intervals and the chance level.
    """
    # Imported late because a program that only reads metrics needs none of them.
    import numpy as np
    import torch
    from sklearn.metrics import roc_auc_score

    matching = scores.gather(1, right[:, None]).squeeze(1)
    is_right = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, right[:, None], True)
    wrong = scores[~is_right]
    successes = [matching > scores.masked_fill(is_right, -torch.inf).amax(1)]
    successes += [matching > _threshold(wrong, rate) for rate in FALSE_POSITIVE_RATES]
    counts = [int(success.sum()) for success in successes]
    identified, *found = (successful / len(matching) for successful in counts)
    truth = np.concatenate([np.ones(len(matching)), np.zeros(len(wrong))])
    return LinkageScores(
        statistic=statistic,
        identified=identified,
        found=found,
        auc=float(roc_auc_score(truth, torch.cat([matching, wrong]).numpy())),
        chance=1 / scores.shape[1],
        intervals=[list(binomial_interval(successful, len(matching))) for successful in counts],
    )


def _threshold(wrong: "Tensor", rate: float) -> "Tensor":
    """Return the smallest score that at most this share of the wrong pairs exceed."""
    allowed = int(rate * len(wrong))
    return wrong.topk(allowed + 1).values[-1]
