"""An oracle whose answers Ray's workers compute, each a share of the questions."""

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from palimpsest.gradients.per_sample import chunk_size
from palimpsest.gradients.trainable import parameter_count
from palimpsest.oracles.oracle import ModelOracle
from palimpsest.system.ray_cluster import connect

# Chunks of a worker's turn: enough to pay for sending the question.
_CHUNKS = 8


class ShardedOracle:
    """Answers from the two models, as a `ModelOracle` gives them, in the order of the questions.

    Ray is started, or its cluster joined, with the first question. The models travel to a worker once. Where only a
    sketch or a projection of the answers is wanted, the workers read it out, and the long vectors travel nowhere.

    Args:
        original: The model before unlearning.
        unlearned: The model after it.
        memory_budget: Bytes that the answers may take that are under way: in each worker as many as it holds at once.
    """

    def __init__(self, original: nn.Module, unlearned: nn.Module, *, memory_budget: int) -> None:
        self._models = (original, unlearned)
        self._memory_budget = memory_budget
        self._shared: tuple[Callable[[Tensor], Tensor], Any] | None = None

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return parameter_count(self._models[0])

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Gradient differences of any samples; see `Oracle`."""
        yield from self.read(images, labels, _whole, together=1)

    def read(
        self, images: Tensor, labels: Tensor, reading: Callable[[Tensor], Tensor], *, together: int
    ) -> Iterator[Tensor]:
        """What is read out of the answers, by the workers, a turn at once; see `read_answers`. They get it pickled."""
        ray, task, models, workers = self._cluster
        if self._shared is None or self._shared[0] is not reading:
            self._shared = reading, ray.put(reading)
        shared = self._shared[1]
        # Each worker has one turn in its hands, and one waits for it.
        share = self._memory_budget // (2 * workers)
        rows = self._turn(share)
        turns = (
            task.remote(models, shared, few.numpy(), theirs.numpy(), share)
            for few, theirs in zip(images.cpu().split(rows), labels.cpu().split(rows), strict=True)
        )
        waiting = deque(islice(turns, 2 * workers))
        while waiting:
            answer = ray.get(waiting.popleft())
            waiting.extend(islice(turns, 1))
            # What Ray hands out can't be written to.
            yield torch.from_numpy(answer.copy())

    def _turn(self, share: int) -> int:
        """Questions of one turn: whole chunks, so that they are the same as in one process."""
        chunk = chunk_size(self.dimension, share, next(self._models[0].parameters()).device)
        # A turn's answers are held in pieces and put together.
        fitting = share // (2 * 4 * self.dimension * chunk)
        return chunk * max(1, min(_CHUNKS, fitting))

    @cached_property
    def _cluster(self) -> tuple[Any, Any, Any, int]:
        """Ray, what its workers do, the models that it holds, and how many workers there are."""
        ray, end = connect("oracle.engine ray")
        weakref.finalize(self, end)
        gpus = 1 if next(self._models[0].parameters()).is_cuda else 0
        task = ray.remote(num_cpus=1, num_gpus=gpus)(_answer)
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return ray, task, ray.put(self._models), workers


def oracle_of(
    original: nn.Module,
    unlearned: nn.Module,
    *,
    engine: Literal["in-process", "ray"] = "in-process",
    memory_budget: int,
) -> ModelOracle | ShardedOracle:
    """The oracle of two models.

    Args:
        original: The model before unlearning.
        unlearned: The model after it.
        engine: What computes the answers: this process, or Ray's workers.
        memory_budget: Bytes that answers may take.
    """
    kind = ShardedOracle if engine == "ray" else ModelOracle
    return kind(original, unlearned, memory_budget=memory_budget)


def _whole(vectors: Tensor) -> Tensor:
    return vectors


def _answer(
    models: tuple[nn.Module, nn.Module],
    reading: Callable[[Tensor], Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    memory_budget: int,
) -> np.ndarray:
    """One turn, in a worker."""
    oracle = ModelOracle(*models, memory_budget=memory_budget)
    questions = torch.from_numpy(images.copy()), torch.from_numpy(labels.copy())
    return torch.cat(list(oracle.read(*questions, reading, together=len(images)))).numpy()
