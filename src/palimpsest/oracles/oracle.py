"""The auditor's oracle: flattened gradient differences of any samples (IGF, threat assumption)."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from palimpsest.datasets import SampleSet
from palimpsest.gradients.additive import read_differences
from palimpsest.gradients.linear_reduction import Additive
from palimpsest.gradients.mean import mean_difference
from palimpsest.gradients.memmap import gather
from palimpsest.gradients.per_sample import difference_chunks
from palimpsest.gradients.trainable import parameter_count
from palimpsest.system.memory import DEFAULT_BUDGET


class Oracle(Protocol):
    """A gray box that returns gradient differences without revealing the two models."""

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        ...

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the gradient differences of any samples, in order, a chunk `[b, d]` at a time."""
        ...


@runtime_checkable
class ReadingOracle(Oracle, Protocol):
    """An oracle that transforms its answers itself, which avoids transferring the full vectors."""

    def read(
        self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor], *, min_rows: int
    ) -> Iterator[Tensor]:
        """Yield the transformed gradient differences; see `read_answers`."""
        ...


def read_answers(
    oracle: Oracle, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor], *, min_rows: int
) -> Iterator[Tensor]:
    """Query an oracle and transform its answers, on the oracle's side if it supports that.

    Args:
        oracle: The oracle to query.
        images: Any samples.
        labels: Their labels, `[n]`.
        transform: A function from vectors `[b, d]` to `[b, k]`, such as a projection.
        min_rows: Fewest vectors to transform at once; the last chunk may have fewer.

    Yields:
        Transformed answers `[b, k]` on the CPU, in order.
    """
    if isinstance(oracle, ReadingOracle):
        yield from oracle.read(images, labels, transform, min_rows=min_rows)
    else:
        answers = (chunk.cpu() for chunk in oracle.differences(images, labels))
        yield from map(transform, gather(answers, rows=min_rows))


def query_all(oracle: Oracle, samples: SampleSet) -> Tensor:
    """Query an oracle about samples, and return all answers, `[n, d]` on the CPU.

    Args:
        oracle: The oracle to query.
        samples: The samples; may be empty. Their answers must fit into memory.
    """
    answers = (chunk.cpu() for chunk in oracle.differences(samples.inputs, samples.labels))
    return torch.cat([torch.empty(0, oracle.dimension), *answers])


class ModelOracle:
    """An oracle computed from the two models.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        memory_budget: Memory for a chunk of answers, in bytes.
    """

    def __init__(
        self, original: nn.Module, unlearned: nn.Module, *, memory_budget: int = DEFAULT_BUDGET
    ) -> None:
        """Hold the models; nothing is computed yet."""
        self._models = (original, unlearned)
        self._memory_budget = memory_budget

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return parameter_count(self._models[0])

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the gradient differences of any samples; see `Oracle`."""
        yield from difference_chunks(*self._models, images, labels, memory_budget=self._memory_budget)

    def mean(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean gradient difference of a group; see `AveragingOracle`."""
        return mean_difference(*self._models, images, labels, memory_budget=self._memory_budget)

    def read(
        self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor], *, min_rows: int
    ) -> Iterator[Tensor]:
        """Yield the transformed answers; see `read_answers`.

        A transform that is a sum over columns is applied layer by layer, so that the full vectors are never held.
        """
        if isinstance(transform, Additive):
            yield from read_differences(
                *self._models, images, labels, transform, memory_budget=self._memory_budget
            )
        else:
            answers = (chunk.cpu() for chunk in self.differences(images, labels))
            yield from map(transform, gather(answers, rows=min_rows))
