"""An oracle whose answers are defended as a client would, for an auditor who knows the defenses."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from palimpsest.defenses.apply import apply_defenses, defend_chunks
from palimpsest.defenses.defense import Defense
from palimpsest.oracles.oracle import Oracle
from palimpsest.randomness import fork, make_generator
from palimpsest.storage import tensor_hash


class DefendedOracle:
    """An oracle that applies the clients' defenses to its answers, with the auditor's own secrets and randomness.

    Args:
        oracle: Answers with undefended gradient differences.
        defenses: The clients' defenses, in the order in which they are applied.
        generator: Source of the auditor's randomness, drawn afresh for each query.
        memory_budget: Bytes of undefended answers to cache. Cached answers to a repeated query are defended again with
            fresh randomness. The default, 0, disables the cache.
    """

    def __init__(
        self, oracle: Oracle, defenses: Sequence[Defense], *, generator: Generator, memory_budget: int = 0
    ) -> None:
        """Determine the length of a defended vector by defending a zero vector."""
        self._oracle, self._defenses = oracle, defenses
        self._generator = generator
        self._answers: dict[str, list[Tensor]] = {}
        self._free = memory_budget
        probe = apply_defenses(
            torch.zeros(1, oracle.dimension), defenses, generator=make_generator(0, "probe")
        )
        self._dimension = probe.shape[1]

    @property
    def dimension(self) -> int:
        """Length of each defended vector."""
        return self._dimension

    @property
    def stochastic(self) -> bool:
        """True if repeated queries of the same samples get different answers."""
        return any(defense.randomized for defense in self._defenses)

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield defended gradient differences of any samples, in order, a chunk at a time."""
        yield from self.defend(self._ask(images, labels))

    def defend(self, answers: Iterable[Tensor]) -> Iterator[Tensor]:
        """Defend answers that are already at hand, as if they were the answers to one query.

        Args:
            answers: Chunks of undefended gradient differences, `[m, d]` each.

        Yields:
            Chunks of defended vectors, in order.
        """
        generator = make_generator(fork(self._generator))
        defenses = [defense.rekeyed(generator) for defense in self._defenses]
        yield from defend_chunks(answers, defenses, generator=generator)

    def _ask(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        query = tensor_hash(images, labels)
        if query in self._answers:
            yield from self._answers[query]
            return
        answers = (chunk.cpu() for chunk in self._oracle.differences(images, labels))
        size = len(images) * self._oracle.dimension * torch.float32.itemsize
        if size <= self._free:
            self._free -= size
            answers = self._answers[query] = [torch.cat(list(answers))]
        yield from answers
