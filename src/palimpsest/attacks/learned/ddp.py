"""An inversion network trained on several GPUs, or in several processes, by Lightning Fabric."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, nn

from palimpsest.attacks.learned.perceptual_loss import VggFeatures
from palimpsest.attacks.learned.training import Pairs, TrainingPlan, make_fabric, train_inverter
from palimpsest.errors import DivergenceError, ResourceError
from palimpsest.progress import progress_line
from palimpsest.randomness import fork

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# What the first process tells of its last epoch, and that there is no further one.
_DONE = None


def train_on_several(
    inverter: nn.Module,
    lesson: Callable[[int], Pairs],
    validation: Pairs,
    perceptual: VggFeatures | None,
    plan: TrainingPlan,
    *,
    devices: int,
    generator: Generator,
) -> dict[str, list[float]]:
    """Train as `train_inverter` does, each step shared by so many processes of its own.

    The processes take turns at the rows of a step, and the mean of their gradients is that of the whole step. Batch
    norm sees each process's own rows.

    Args:
        inverter: As there; it ends in eval mode.
        lesson: As there; it is asked once, for it may not go to another process.
        validation: As there.
        perceptual: As there.
        plan: As there.
        devices: GPUs, or on a CPU processes that share its cores; 2 or more.
        generator: As there.

    Returns:
        The curves of the first process.

    Raises:
        DivergenceError: The loss stopped being finite.
        ResourceError: There are not so many GPUs.
    """
    if plan.device == "cuda" and torch.cuda.device_count() < devices:
        raise ResourceError(
            f"attack.devices is {devices}, and there are {torch.cuda.device_count()} GPUs: lower it."
        )
    fabric = make_fabric(plan, processes=devices)
    news: Any = torch.multiprocessing.get_context("spawn").SimpleQueue()
    with progress_line("train inverter", plan.epochs) as line:

        def listen() -> None:
            for values in iter(news.get, _DONE):
                line.advance(values=values)

        # Who watches stands in the context, which a thread does not have of itself.
        listener = threading.Thread(target=copy_context().run, args=(listen,))
        listener.start()
        try:
            share: Any = _Share(lesson(0), validation, perceptual, plan, fork(generator), news)
            answer = fabric.launch(share, inverter)
        finally:
            news.put(_DONE)
            listener.join()
    if isinstance(answer, DivergenceError):
        raise answer
    parameters, curves = answer
    inverter.load_state_dict({name: torch.from_numpy(value) for name, value in parameters.items()})
    inverter.eval()
    return curves


@dataclass(frozen=True)
class _Share:
    """What each process does; the first one's answer counts."""

    pairs: Pairs
    validation: Pairs
    perceptual: VggFeatures | None
    plan: TrainingPlan
    seed: int
    news: Any

    def __call__(
        self, fabric: "Fabric", inverter: nn.Module
    ) -> tuple[dict[str, np.ndarray], dict[str, list[float]]] | DivergenceError:
        if self.plan.device == "cpu":
            torch.set_num_threads(max(1, torch.get_num_threads() // fabric.world_size))
        try:
            curves = train_inverter(
                inverter,
                lambda _: self.pairs,
                self.validation,
                self.perceptual,
                self.plan,
                generator=torch.Generator().manual_seed(self.seed),
                fabric=fabric,
                told=self.news.put if fabric.global_rank == 0 else lambda _: None,
            )
        except DivergenceError as error:
            return error  # raised here it would come back as another error's text
        # A tensor would stand in memory that ends with this process.
        return {name: value.cpu().numpy() for name, value in inverter.state_dict().items()}, curves
