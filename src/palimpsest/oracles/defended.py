"""What an auditor who knows the defense asks: the answers as a client would defend them."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from palimpsest.defenses.apply import apply_defenses, defend_chunks
from palimpsest.defenses.defense import Defense
from palimpsest.oracles.oracle import Oracle
from palimpsest.randomness import fork, make_generator
from palimpsest.storage import tensor_hash


class DefendedOracle:
    """An oracle whose answers went through the clients' defenses, under secrets and random numbers of the asker's own.

    Args:
        oracle: Answers with undefended gradient differences.
        defenses: What the clients do to their proofs, in order.
        generator: The asker's randomness; each question gets fresh one.
        memory_budget: Bytes of undefended answers to remember: who asks again gets them defended anew, at less cost.
    """

    def __init__(
        self, oracle: Oracle, defenses: Sequence[Defense], *, generator: Generator, memory_budget: int = 0
    ) -> None:
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
        """Whether answers to the same query differ."""
        return any(defense.randomized for defense in self._defenses)

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Defended gradient differences of any samples, in order, a chunk at a time."""
        yield from self.defend(self._ask(images, labels))

    def defend(self, answers: Iterable[Tensor]) -> Iterator[Tensor]:
        """Undefended answers that the asker already has, defended as those to a question of their own would be.

        Args:
            answers: Consecutive rows, `[m, d]` each.
        """
        own = make_generator(fork(self._generator))
        defenses = [defense.rekeyed(own) for defense in self._defenses]
        yield from defend_chunks(answers, defenses, generator=own)

    def _ask(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        question = tensor_hash(images, labels)
        if question in self._answers:
            yield from self._answers[question]
            return
        answers = (chunk.cpu() for chunk in self._oracle.differences(images, labels))
        size = len(images) * self._oracle.dimension * torch.float32.itemsize
        if size <= self._free:
            self._free -= size
            answers = self._answers[question] = [torch.cat(list(answers))]
        yield from answers
