"""Training of an image inverter in several processes, one for each GPU, by Lightning Fabric."""

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

# The message that ends the stream of epochs from the first process.
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
    """Train as `train_inverter` does, with each step shared by several processes (distributed data parallel).

    The processes take turns at the rows of a step, and the mean of their gradients is that of the whole step. Batch
    norm sees only the rows of its own process.

    Args:
        inverter: From features to images; it ends in eval mode.
        training_pairs: Called once, with 0: the pairs of all epochs.
        validation: Pairs kept aside for the history.
        perceptual: VGG's features, or None if beta is 0.
        plan: Epochs and rates.
        devices: GPUs, or on a CPU processes that share its cores; 2 or more.
        generator: Seeds the processes.

    Returns:
        The history of the first process; see `train_inverter`.

    Raises:
        DivergenceError: The loss is not finite.
        ResourceError: The machine has fewer GPUs.
    """
    if plan.device == "cuda" and torch.cuda.device_count() < devices:
        raise ResourceError(
            f"attack.devices is {devices}, and there are {torch.cuda.device_count()} GPUs: lower it."
        )
    fabric = make_fabric(plan.precision, plan.device, processes=devices)
    epochs: Any = torch.multiprocessing.get_context("spawn").SimpleQueue()
    with progress_line("train inverter", plan.epochs) as line:

        def listen() -> None:
            for values in iter(epochs.get, _DONE):
                line.advance(values=values)

        # The callbacks are in the context, which a new thread does not inherit.
        listener = threading.Thread(target=copy_context().run, args=(listen,))
        listener.start()
        try:
            worker: Any = _Worker(training_pairs(0), validation, perceptual, plan, fork(generator), epochs)
            answer = fabric.launch(worker, inverter)
        finally:
            epochs.put(_DONE)
            listener.join()
    if isinstance(answer, DivergenceError):
        raise answer
    parameters, history = answer
    inverter.load_state_dict({name: torch.from_numpy(value) for name, value in parameters.items()})
    inverter.eval()
    return history


@dataclass(frozen=True)
class _Worker:
    """What each process runs; the answer of the first one counts."""

    pairs: ImagePairs
    validation: ImagePairs
    perceptual: VggFeatures | None
    plan: TrainingPlan
    seed: int
    epochs: Any

    def __call__(
        self, fabric: "Fabric", inverter: nn.Module
    ) -> tuple[dict[str, np.ndarray], History] | DivergenceError:
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
            return error  # Raised in this process, it would arrive as the text of another error.
        # A tensor would lie in memory that ends with this process.
        return {name: value.cpu().numpy() for name, value in inverter.state_dict().items()}, history
