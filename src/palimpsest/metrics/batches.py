"""Scoring attacks on whole batches, whose reconstructions have no order of their own."""

import torch
from torch import Tensor

from palimpsest.metrics.assignment import assign


def in_order(reconstructions: Tensor, originals: Tensor, *, batch: int) -> Tensor:
    """The reconstructions of each batch in the order of its originals, by the assignment with the smallest total MSE.

    Args:
        reconstructions: `[b * batch, c, h, w]`: the first `batch` are the first batch's, in any order.
        originals: The same shape, the same batches.
        batch: Samples of a batch; 1 changes nothing.

    Returns:
        `[b * batch, c, h, w]`.
    """
    if batch == 1:
        return reconstructions
    pairs = zip(reconstructions.split(batch), originals.split(batch), strict=True)
    return torch.cat([some[assign(some, truth)] for some, truth in pairs])


def label_recovery(believed: Tensor, labels: Tensor, *, batch: int) -> float:
    """The share of the labels that an attack got right, batch by batch, whatever their order in it.

    Args:
        believed: `[b * batch]` int64.
        labels: The true ones, `[b * batch]` int64.
        batch: Samples of a batch.
    """
    classes = int(torch.cat([believed, labels]).max()) + 1
    right = 0
    for some, truth in zip(believed.split(batch), labels.split(batch), strict=True):
        common = torch.minimum(some.bincount(minlength=classes), truth.bincount(minlength=classes))
        right += int(common.sum())
    return right / len(labels)
