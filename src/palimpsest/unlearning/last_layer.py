"""Planted failure: only the last linear layer is trained again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import nn

from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, LocalTraining, Outcome, Schedule, Shard, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.recovery import recover
from palimpsest.unlearning.scenarios import Request


class LastLayerTraining(LocalTraining):
    """Local training of the last linear layer; all other parameters and all buffers stay as they are."""

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Train the last layer; see `Work` for the arguments."""
        with only_last_linear(model):
            return super().__call__(model, shard, seed=seed)


@contextmanager
def only_last_linear(model: nn.Module) -> Iterator[None]:
    """Freeze all parameters but those of the last linear layer, and restore the buffers at the end.

    Args:
        model: A classifier.

    Raises:
        UnlearningError: The model has no linear layer.
    """
    trained = {id(parameter) for parameter in last_linear(model)[1].parameters()}
    frozen = [one for one in model.parameters() if one.requires_grad and id(one) not in trained]
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(buffers[name])


def last_linear(model: nn.Module) -> tuple[str, nn.Linear]:
    """Return the last linear layer and its name.

    Args:
        model: A classifier.

    Raises:
        UnlearningError: The model has no linear layer.
    """
    for name, module in reversed(list(model.named_modules())):
        if isinstance(module, nn.Linear):
            return name, module
    raise UnlearningError(
        f"{type(model).__name__} has no linear layer. Choose a model whose last layer is linear, such as convnet or "
        "lenet, or another unlearning.method."
    )


@METHODS.register("last-layer")
class LastLayer(Method):
    """Draw the last linear layer anew and train only it on the retained samples: a positive control of the tests.

    The forgotten accuracy falls, as if the model had been retrained. The other layers still have the features that were
    learned from the forgotten samples.
    """

    source: ClassVar[str] = "Planted failure; Goel et al. 2022, EU-k with k = 1"

    rounds: PositiveInt = 10
    """Rounds of training on the retained samples."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Reset and train the last layer; see `Method` for the arguments."""
        model = federation.network()
        name, layer = last_linear(model)
        fresh = {f"{name}.{part}": value.clone() for part, value in layer.state_dict().items()}
        result = recover(
            original.parameters | fresh,
            request,
            federation,
            place,
            rounds=self.rounds,
            work=LastLayerTraining.model_validate(federation.local_training().model_dump()),
        )
        return Unlearned(result.parameters, result.rounds, releases=result.releases)
