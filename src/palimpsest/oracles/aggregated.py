"""Answers about groups of samples: the mean gradient difference of each group."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from palimpsest.datasets import ImageSet
from palimpsest.datasets.groups import EMPTY
from palimpsest.oracles.oracle import Oracle
from palimpsest.system.memory import DEFAULT_BUDGET

_MOST_GROUPS = 64


@runtime_checkable
class AveragingOracle(Oracle, Protocol):
    """An oracle that computes the mean difference of a group itself, without a vector for each sample."""

    def mean(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean gradient difference of samples `[n, ...]` as one vector `[d]`."""
        ...


class AggregatedOracle:
    """An oracle whose queries are groups of the auditor's images; see `GroupSet`.

    Args:
        oracle: Answers about single samples. If it is an `AveragingOracle`, no vector of a single sample is formed;
            otherwise the vectors of a group are added up chunk by chunk.
        pool: The images whose rows the groups name.
        memory_budget: Memory for a chunk of answers, in bytes.
    """

    def __init__(self, oracle: Oracle, pool: ImageSet, *, memory_budget: int = DEFAULT_BUDGET) -> None:
        """Hold the oracle and the images; nothing is computed yet."""
        self._oracle, self._pool = oracle, pool
        self._rows = max(1, min(_MOST_GROUPS, memory_budget // (8 * oracle.dimension)))

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
        for members in images.split(self._rows):
            yield torch.stack([self._mean(rows[rows != EMPTY]) for rows in members])

    def _mean(self, rows: Tensor) -> Tensor:
        images, labels = self._pool.images[rows], self._pool.labels[rows]
        if isinstance(self._oracle, AveragingOracle):
            return self._oracle.mean(images, labels).cpu()
        total = torch.zeros(self.dimension)
        for chunk in self._oracle.differences(images, labels):
            total += chunk.sum(0).cpu()
        return total / len(rows)
