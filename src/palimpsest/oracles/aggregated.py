"""Answers about groups of samples: the mean gradient difference of each group."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from palimpsest.datasets import ImageSet
from palimpsest.datasets.groups import EMPTY
from palimpsest.oracles.oracle import Oracle, query_all
from palimpsest.system.memory import DEFAULT_BUDGET

_MOST_GROUPS, _FLOAT = 64, 4


@runtime_checkable
class AveragingOracle(Oracle, Protocol):
    """An oracle that computes the mean difference of a group itself, without a vector for each sample."""

    def mean(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean gradient difference of samples `[n, ...]` as one vector `[d]`."""
        ...


class AggregatedOracle:
    """An oracle whose queries are groups of the auditor's images; see `GroupSet`.

    A few groups are answered one by one. If the groups of a query overlap so much that they have more members than the
    pool has images, each image is queried once instead, provided that all answers fit into a quarter of the budget: the
    groups' means are then one matrix product.

    Args:
        oracle: Answers about single samples. If it is an `AveragingOracle`, a group that is answered by itself needs no
            vector of a single sample; otherwise the vectors of its members are added up chunk by chunk.
        pool: The images whose rows the groups name.
        memory_budget: Memory for the answers, in bytes.
    """

    def __init__(self, oracle: Oracle, pool: ImageSet, *, memory_budget: int = DEFAULT_BUDGET) -> None:
        """Hold the oracle and the images; nothing is computed yet."""
        self._oracle, self._pool = oracle, pool
        self._chunk = max(1, min(_MOST_GROUPS, memory_budget // (8 * _FLOAT * oracle.dimension)))
        self._holds_pool = 4 * _FLOAT * len(pool) * oracle.dimension <= memory_budget

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return self._oracle.dimension

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the mean gradient difference of each group, in order, a chunk `[b, d]` at a time.

        Args:
            images: The members of each group, as in `GroupSet.members`.
            labels: Not used: the images' own labels are.
        """
        overlapping = int((images != EMPTY).sum()) > len(self._pool)
        answers = query_all(self._oracle, self._pool) if overlapping and self._holds_pool else None
        for members in images.split(self._chunk):
            if answers is None:
                yield torch.stack([self._mean(rows[rows != EMPTY]) for rows in members])
            else:
                yield membership_weights(members, len(self._pool)) @ answers

    def _mean(self, rows: Tensor) -> Tensor:
        images, labels = self._pool.images[rows], self._pool.labels[rows]
        if isinstance(self._oracle, AveragingOracle):
            return self._oracle.mean(images, labels).cpu()
        total = torch.zeros(self.dimension)
        for chunk in self._oracle.differences(images, labels):
            total += chunk.sum(0).cpu()
        return total / len(rows)


def membership_weights(members: Tensor, count: int) -> Tensor:
    """Return the weight of each image of a pool in the mean of each group, `[groups, count]`; a row sums to 1.

    Args:
        members: Rows of the pool in each group, `[groups, largest size]` int64, filled with `EMPTY`.
        count: Number of images in the pool.
    """
    present = members != EMPTY
    weights = torch.zeros(len(members), count)
    weights.scatter_add_(1, members.clamp_min(0), present.float())
    return weights / present.sum(1, keepdim=True)
