"""Scores of the linkage attack on aggregated proofs: is a candidate one of the samples behind a proof?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from palimpsest.metrics.rates import Rate, share
from palimpsest.storage import Record

if TYPE_CHECKING:
    from torch import Tensor

FALSE_POSITIVE_RATE = 0.01
"""Share of strangers that may be taken for members where `GroupLinkageScores.found` is measured."""

_CHANCE = 0.5


@dataclass(frozen=True)
class GroupLinkageScores(Record):
    """Success of the linkage attack on groups. Each candidate is compared with one proof.

    Args:
        statistic: Name of the statistic that scored the pairs; see `palimpsest.attacks.group_linkage.link_groups`.
        auc: Area under the ROC curve of members against strangers, which were never trained on, with the interval of
            `area_interval`; 0.5 is chance.
        accuracy: Share of correct answers at the threshold that the auditor chose on its own groups, for as many
            members as strangers, with its exact interval; 0.5 is chance.
        strangers: Number of strangers.
        auc_other_groups: The area against forgotten samples of other groups; None if there is one group.
        found: Share of members at a false positive rate of 1 % of the strangers, with its exact interval; None with
            fewer than 100 strangers.
    """

    statistic: str
    auc: Rate
    accuracy: Rate
    strangers: int
    auc_other_groups: Rate | None = None
    found: Rate | None = None

    @property
    def exposed(self) -> bool:
        """Whether members are distinguished better than by chance: the interval of `auc` lies above 0.5."""
        return self.auc.low > _CHANCE


def score_group_linkage(
    scores: "Tensor", group: "Tensor", *, statistic: str, threshold: float
) -> GroupLinkageScores:
    """Compare the scores of members with those of candidates that are in other groups or in none.

    Args:
        scores: Fit of each proof to each candidate, `[groups, n + m]`: first the n forgotten samples, then m strangers,
            at least one of each.
        group: Group of each forgotten sample, `[n]` int64.
        statistic: Name of the statistic behind the scores.
        threshold: Score from which on the auditor takes a candidate for a member.

    Returns:
        The rates with their intervals.
    """
    # Imported late because a program that only reads metrics needs neither.
    import torch

    from palimpsest.metrics.roc import roc

    count, groups = len(group), len(scores)
    places, strangers = torch.arange(count), torch.arange(scores.shape[1] - count)
    members = scores[group, places]
    outside = scores[strangers % groups, count + strangers]
    others = scores[(group + 1 + places % max(1, groups - 1)) % groups, places]
    curve = roc(members, outside)
    # As many members as strangers, spread evenly, so that 0.5 is chance.
    fewer = min(count, len(outside))
    even = torch.linspace(0, count - 1, fewer).round().long()
    right = (members[even] >= threshold).sum() + (outside[:fewer] < threshold).sum()
    return GroupLinkageScores(
        statistic=statistic,
        auc=curve.auc,
        auc_other_groups=roc(members, others).auc if groups > 1 else None,
        accuracy=share(int(right) / (2 * fewer), 2 * fewer, chance=_CHANCE),
        found=curve.detection(FALSE_POSITIVE_RATE).found,
        strangers=len(outside),
    )
