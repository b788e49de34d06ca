"""Can a sample's loss tell that it was trained on? The simplest membership inference attack."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

FALSE_POSITIVE_RATE = 0.01


@dataclass(frozen=True)
class Membership:
    """How well a threshold on the loss tells members from others.

    Args:
        auc: The area under the ROC curve: 0.5 is a coin, 1 a certainty.
        tpr: The share of members found where 1 % of the others are taken for members; a coin finds 1 %.
    """

    auc: float
    tpr: float


def membership_score(members: Tensor, others: Tensor) -> Membership:
    """Attack with the loss: the lower it is, the likelier the sample was trained on (Yeom et al. 2018,
    section 3.2).

    Args:
        members: Losses of samples that were trained on, `[n]`, at least one.
        others: Losses of samples that were not, `[m]`, at least one.
    """
    # Imported late: scikit-learn takes a second.
    from sklearn.metrics import roc_auc_score, roc_curve

    truth = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    score = -np.concatenate([members.double().numpy(), others.double().numpy()])
    false_positives, true_positives, _ = roc_curve(truth, score)
    found = true_positives[false_positives <= FALSE_POSITIVE_RATE].max()
    return Membership(auc=float(roc_auc_score(truth, score)), tpr=float(found))
