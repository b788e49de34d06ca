"""What the auditor may ask: the flattened gradient difference of any sample it likes (IGF, threat assumption)."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from palimpsest.gradients.per_sample import DEFAULT_BUDGET, difference_chunks, parameter_count


class Oracle(Protocol):
    """A grey box: vectors come out, the models behind it stay hidden."""

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        ...

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of any samples, in order, a chunk `[b, d]` at a time."""
        ...


class ModelOracle:
    """An oracle computed from the two models.

    Args:
        original: The model before unlearning.
        unlearned: The model after it.
        memory_budget: Bytes that a chunk of answers may take.
    """

    def __init__(
        self, original: nn.Module, unlearned: nn.Module, *, memory_budget: int = DEFAULT_BUDGET
    ) -> None:
        self._models = (original, unlearned)
        self._memory_budget = memory_budget

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return parameter_count(self._models[0])

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of any samples; see `Oracle`."""
        yield from difference_chunks(*self._models, images, labels, memory_budget=self._memory_budget)
