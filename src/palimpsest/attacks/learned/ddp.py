"""Distributed training of an image inverter, with one process for each GPU, by Lightning Fabric."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, nn

from palimpsest.attacks.learned.image_training import ImagePairs, TrainingPlan, train_inverter
from palimpsest.attacks.learned.perceptual_loss import VggFeatures
from palimpsest.attacks.learned.training import History, make_fabric
from palimpsest.errors import DivergenceError, ResourceError
from palimpsest.progress import progress_line
from palimpsest.randomness import fork

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Marks the end of the queue of epoch values.
_DONE = None


def train_ddp(
    inverter: nn.Module,
    training_pairs: Callable[[int], ImagePairs],
    validation: ImagePairs,
    perceptual: VggFeatures | None,
    plan: TrainingPlan,
    *,
    devices: int,
    generator: Generator,
) -> History:
    """Train like `train_inverter`, with each step shared by several processes (distributed data parallel).

    The rows of a step are divided among the processes, and the mean of the processes' gradients is the gradient of the
    step. Batch norm uses only the rows of its own process.

    Args:
        inverter: Network from features to images. It is trained in place and left in eval mode.
        training_pairs: Returns the pairs of an epoch. It is called once, with 0; its pairs serve all epochs.
        validation: Pairs held out from training, whose error is recorded in the history.
        perceptual: VGG's features, or None if beta is 0.
        plan: Settings of the training.
        devices: Number of GPUs, or of processes that share a CPU's cores; 2 or more.
        generator: Seeds the processes.

    Returns:
        The history of the first process; see `train_inverter`.

    Raises:
        DivergenceError: The loss is not finite.
        ResourceError: The machine has fewer GPUs than `devices`.
    """
    if plan.device == "cuda" and torch.cuda.device_count() < devices:
        raise ResourceError(
            f"attack.devices is {devices}, but this machine has {torch.cuda.device_count()} GPU(s). Lower it."
        )
    fabric = make_fabric(plan.precision, plan.device, processes=devices)
    epochs: Any = torch.multiprocessing.get_context("spawn").SimpleQueue()
    with progress_line("train inverter", plan.epochs) as line:

        def listen() -> None:
            for values in iter(epochs.get, _DONE):
                line.advance(values=values)

        # Progress callbacks are stored in the context, which a new thread does not inherit.
        listener = threading.Thread(target=copy_context().run, args=(listen,))
        listener.start()
        try:
            worker: Any = _Worker(training_pairs(0), validation, perceptual, plan, fork(generator), epochs)
            outcome = fabric.launch(worker, inverter)
        finally:
            epochs.put(_DONE)
            listener.join()
    if isinstance(outcome, DivergenceError):
        raise outcome
    parameters, history = outcome
    inverter.load_state_dict({name: torch.from_numpy(value) for name, value in parameters.items()})
    inverter.eval()
    return history


@dataclass(frozen=True)
class _Worker:
    """Training in one of the processes. The parent uses the result of the first process."""

    pairs: ImagePairs
    validation: ImagePairs
    perceptual: VggFeatures | None
    plan: TrainingPlan
    seed: int
    epochs: Any

    def __call__(
        self, fabric: "Fabric", inverter: nn.Module
    ) -> tuple[dict[str, np.ndarray], History] | DivergenceError:
        """Train, and return the weights and the history, or the error of a diverged training."""
        if self.plan.device == "cpu":
            torch.set_num_threads(max(1, torch.get_num_threads() // fabric.world_size))
        try:
            history = train_inverter(
                inverter,
                lambda _: self.pairs,
                self.validation,
                self.perceptual,
                self.plan,
                generator=torch.Generator().manual_seed(self.seed),
                fabric=fabric,
                on_epoch=self.epochs.put if fabric.global_rank == 0 else lambda _: None,
            )
        except DivergenceError as error:
            return error  # If it were raised, the parent would get another exception with its text.
        # Tensors would be passed in shared memory, which is released when this process exits.
        return {name: value.cpu().numpy() for name, value in inverter.state_dict().items()}, history
