"""Membership inference from a sample's loss, the simplest such attack."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FALSE_POSITIVE_RATE = 0.01
"""Share of nonmembers that may be taken for members where `Membership.tpr` is measured."""


@dataclass(frozen=True)
class Membership:
    """Success of a threshold on the loss at separating members from nonmembers.

    Args:
        auc: Area under the ROC curve, in [0, 1]; 0.5 is chance, and closer to 0.5 means better forgotten.
        tpr: True positive rate at a false positive rate of 1 %, in [0, 1]; 0.01 is chance, and lower means better
            forgotten.
    """

    auc: float
    tpr: float


def membership_score(members: "Tensor", others: "Tensor") -> Membership:
    """Score membership inference by loss: the lower the loss, the likelier the sample was a training sample.

    Source: Yeom et al. 2018, section 3.2.

    Args:
        members: Losses of samples that were trained on, `[n]`, n at least 1.
        others: Losses of samples that were not, `[m]`, m at least 1.

    Returns:
        Area under the ROC curve, and the true positive rate at `FALSE_POSITIVE_RATE`.
    """
    # Imported late because scikit-learn takes a second to import.
    import numpy as np
    from sklearn.metrics import roc_auc_score, roc_curve

    truth = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    score = -np.concatenate([members.double().numpy(), others.double().numpy()])
    false_positives, true_positives, _ = roc_curve(truth, score)
    found = true_positives[false_positives <= FALSE_POSITIVE_RATE].max()
    return Membership(auc=float(roc_auc_score(truth, score)), tpr=float(found))
