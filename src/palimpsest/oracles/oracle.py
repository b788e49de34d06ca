"""What the auditor may ask: the flattened gradient difference of any sample it likes (IGF, threat assumption)."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from palimpsest.gradients.additive import Additive, read_differences
from palimpsest.gradients.memmap import gather
from palimpsest.gradients.per_sample import difference_chunks
from palimpsest.gradients.trainable import parameter_count
from palimpsest.system.memory import DEFAULT_BUDGET


class Oracle(Protocol):
    """A gray box: vectors come out, the models behind it stay hidden."""

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        ...

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of any samples, in order, a chunk `[b, d]` at a time."""
        ...


@runtime_checkable
class ReadingOracle(Oracle, Protocol):
    """An oracle that reads out what is wanted of its answers itself, where the whole vectors would only be carried."""

    def read(
        self, images: Tensor, labels: Tensor, reading: Callable[[Tensor], Tensor], *, together: int
    ) -> Iterator[Tensor]:
        """What is read out of the differences; see `read_answers`."""
        ...


def read_answers(
    oracle: Oracle, images: Tensor, labels: Tensor, reading: Callable[[Tensor], Tensor], *, together: int
) -> Iterator[Tensor]:
    """What is read out of an oracle's answers, by itself where it can.

    Args:
        oracle: Who is asked.
        images: Any samples.
        labels: Theirs, `[n]`.
        reading: From vectors `[b, d]` to what is wanted of them, `[b, k]`.
        together: Vectors that are read at once, at least.

    Yields:
        `[b, k]` on the CPU, in order.
    """
    if isinstance(oracle, ReadingOracle):
        yield from oracle.read(images, labels, reading, together=together)
    else:
        answers = (chunk.cpu() for chunk in oracle.differences(images, labels))
        yield from map(reading, gather(answers, rows=together))


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

    def read(
        self, images: Tensor, labels: Tensor, reading: Callable[[Tensor], Tensor], *, together: int
    ) -> Iterator[Tensor]:
        """What is read out of the answers: layer by layer what is a sum over columns; see `read_answers`."""
        if isinstance(reading, Additive):
            yield from read_differences(
                *self._models, images, labels, reading, memory_budget=self._memory_budget
            )
        else:
            answers = (chunk.cpu() for chunk in self.differences(images, labels))
            yield from map(reading, gather(answers, rows=together))
