"""How surely a proof tells that a candidate image was forgotten."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from palimpsest.metrics.rates import binomial_interval
from palimpsest.storage import Record

FALSE_POSITIVE_RATES = (0.001, 0.01)


@dataclass(frozen=True)
class LinkageScores(Record):
    """How well the right candidates stand out, over n proofs.

    Args:
        statistic: The statistic that the attacker used; see `palimpsest.proofs.fit_statistics`.
        identified: The share of proofs that fit their own image better than every other candidate.
        found: The share of right pairs found where 0.1 %, and where 1 %, of the wrong ones are taken for right.
        auc: The area under the ROC curve over all pairs: 0.5 is a coin.
        chance: What guessing identifies: one candidate of all.
        intervals: Exact 95 % intervals over the proofs: of `identified`, then of both `found`.
    """

    statistic: str
    identified: float
    found: list[float]
    auc: float
    chance: float
    intervals: list[list[float]]


def score_linkage(scores: Tensor, right: Tensor, *, statistic: str) -> LinkageScores:
    """Compare the right pairs' scores with the wrong ones'; a tie goes against the attacker.

    Args:
        scores: How well each proof fits each candidate, `[n, m]`, m at least 2.
        right: Each proof's own candidate, `[n]`.
        statistic: The statistic behind the scores.
    """
    # Imported late: scikit-learn takes a second.
    from sklearn.metrics import roc_auc_score

    own = scores.gather(1, right[:, None]).squeeze(1)
    is_right = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, right[:, None], True)
    wrong = scores[~is_right]
    successes = [own > scores.masked_fill(is_right, -torch.inf).amax(1)]
    successes += [own > _threshold(wrong, rate) for rate in FALSE_POSITIVE_RATES]
    counts = [int(success.sum()) for success in successes]
    identified, *found = (successful / len(own) for successful in counts)
    truth = np.concatenate([np.ones(len(own)), np.zeros(len(wrong))])
    return LinkageScores(
        statistic=statistic,
        identified=identified,
        found=found,
        auc=float(roc_auc_score(truth, torch.cat([own, wrong]).numpy())),
        chance=1 / scores.shape[1],
        intervals=[list(binomial_interval(successful, len(own))) for successful in counts],
    )


def _threshold(wrong: Tensor, rate: float) -> Tensor:
    """The least score above which no more than this share of the wrong pairs lie."""
    allowed = int(rate * len(wrong))
    return wrong.topk(allowed + 1).values[-1]
