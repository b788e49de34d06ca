"""An oracle whose answers are computed in parallel by Ray workers."""

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from palimpsest.gradients.per_sample import chunk_size, parameter_count
from palimpsest.oracles.oracle import ModelOracle
from palimpsest.system.ray_cluster import connect

# Most chunks in a task: enough that computing them outweighs sending the samples.
_CHUNKS_PER_TASK = 8


class ShardedOracle:
    """A `ModelOracle` whose answers are computed by Ray workers, in the order of the samples.

    The first query starts Ray or connects to its cluster. Each worker receives the models once. If only a sketch or a
    projection of the answers is needed, the workers compute it, and the full vectors are never transferred.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        memory_budget: Memory for the answers of all pending tasks, in bytes.
    """

    def __init__(self, original: nn.Module, unlearned: nn.Module, *, memory_budget: int) -> None:
        """Hold the models; Ray is not started yet."""
        self._models = (original, unlearned)
        self._memory_budget = memory_budget
        self._shared: tuple[Callable[[Tensor], Tensor], Any] | None = None

    @property
    def dimension(self) -> int:
        """Length d of each vector."""
        return parameter_count(self._models[0])

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the gradient differences of any samples; see `Oracle`."""
        yield from self.read(images, labels, _identity, min_rows=1)

    def read(
        self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor], *, min_rows: int
    ) -> Iterator[Tensor]:
        """Yield the answers as transformed by the workers; see `read_answers`.

        The transform must be picklable. It is applied to all answers of a task at once, whatever `min_rows` is.
        """
        ray, task, models, workers = self._cluster
        if self._shared is None or self._shared[0] is not transform:
            self._shared = transform, ray.put(transform)
        shared = self._shared[1]
        # Two tasks per worker: one runs while the next one waits, so that no worker is idle.
        share = self._memory_budget // (2 * workers)
        rows = self._task_rows(share)
        tasks = (
            task.remote(models, shared, image_rows.numpy(), label_rows.numpy(), share)
            for image_rows, label_rows in zip(images.cpu().split(rows), labels.cpu().split(rows), strict=True)
        )
        pending = deque(islice(tasks, 2 * workers))
        while pending:
            answer = ray.get(pending.popleft())
            pending.extend(islice(tasks, 1))
            # Ray's arrays are read-only.
            yield torch.from_numpy(answer.copy())

    def _task_rows(self, share: int) -> int:
        """Samples of one task: whole chunks, so that the chunks are the same as in a single process."""
        chunk = chunk_size(self.dimension, share, next(self._models[0].parameters()).device)
        # A worker holds a task's answers twice: as chunks and as their concatenation.
        fitting = share // (2 * 4 * self.dimension * chunk)
        return chunk * max(1, min(_CHUNKS_PER_TASK, fitting))

    @cached_property
    def _cluster(self) -> tuple[Any, Any, Any, int]:
        """The Ray module, the remote function, the reference to the models, and the number of workers."""
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
    """Make the oracle of two models.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        engine: `in-process` computes the answers in this process, `ray` in Ray workers.
        memory_budget: Memory for answers, in bytes.

    Returns:
        A `ModelOracle` or, on Ray, a `ShardedOracle`.
    """
    kind = ShardedOracle if engine == "ray" else ModelOracle
    return kind(original, unlearned, memory_budget=memory_budget)


def _identity(vectors: Tensor) -> Tensor:
    return vectors


def _answer(
    models: tuple[nn.Module, nn.Module],
    transform: Callable[[Tensor], Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    memory_budget: int,
) -> np.ndarray:
    """Compute the answers of one task, in a worker."""
    oracle = ModelOracle(*models, memory_budget=memory_budget)
    samples = torch.from_numpy(images.copy()), torch.from_numpy(labels.copy())
    return torch.cat(list(oracle.read(*samples, transform, min_rows=len(images)))).numpy()
