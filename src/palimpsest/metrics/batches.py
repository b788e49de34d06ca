"""Scores of attacks on whole batches, whose reconstructions come in arbitrary order."""

import torch
from torch import Tensor

from palimpsest.metrics.assignment import assign


def in_order(reconstructions: Tensor, originals: Tensor, *, batch: int) -> Tensor:
    """Put the reconstructions of each batch in the order of its originals.

    Each batch uses the assignment with the smallest total MSE; see `assign`.

    Args:
        reconstructions: `[b * batch, c, h, w]`; each run of `batch` rows is one batch, in any order.
        originals: The same shape and the same batches.
        batch: Number of samples in a batch; 1 leaves the order unchanged.

    Returns:
        `[b * batch, c, h, w]`.
    """
    if batch == 1:
        return reconstructions
    pairs = zip(reconstructions.split(batch), originals.split(batch), strict=True)
    return torch.cat([images[assign(images, truth)] for images, truth in pairs])


def label_recovery(believed: Tensor, labels: Tensor, *, batch: int) -> float:
    """Return the share of labels that an attack recovered, counted per batch and regardless of their order in it.

    Args:
        believed: The attack's labels, `[b * batch]` int64.
        labels: The true labels, `[b * batch]` int64.
        batch: Number of samples in a batch.

    Returns:
        A share in [0, 1]; higher means more leakage.
    """
    classes = int(torch.cat([believed, labels]).max()) + 1
    right = 0
    for guesses, truth in zip(believed.split(batch), labels.split(batch), strict=True):
        common = torch.minimum(guesses.bincount(minlength=classes), truth.bincount(minlength=classes))
        right += int(common.sum())
    return right / len(labels)
