"""Split into training and test rows for sets without a test split."""

import torch
from torch import Tensor

from palimpsest.randomness import make_generator


def split_rows(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Split rows into training and test rows, about four to one within every class.

    The split depends only on the labels, not on a run's seed, so every run is tested on the same images.

    Args:
        labels: `[n]`, int64.

    Returns:
        Training rows and test rows, int64, ascending. The row of a class with a single row is a training row; every
        other class has rows in both.
    """
    generator = make_generator(0, "datasets", "split")
    order = torch.randperm(len(labels), generator=generator)
    test = []
    for label in labels.unique().tolist():
        rows = order[labels[order] == label]
        count = 0 if len(rows) == 1 else max(1, round(len(rows) / 5))
        test.append(rows[:count])
    in_test = torch.zeros(len(labels), dtype=torch.bool)
    if test:
        in_test[torch.cat(test)] = True
    return (~in_test).nonzero().squeeze(1), in_test.nonzero().squeeze(1)
