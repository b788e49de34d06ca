"""From a configuration to a network, and from stored parameters to a network that holds them."""

from typing import Any

import torch
from torch import nn

from palimpsest.config import ModelConfig
from palimpsest.errors import CheckpointError, ModelError
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters


def build_model(config: ModelConfig, *, shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
    """Make a classifier whose parameters depend on the seed and on nothing else.

    Args:
        config: The architecture and its settings.
        shape: Channels, height and width of one image.
        classes: How many classes there are; the network returns logits `[n, classes]`.
        seed: The run's seed.

    Returns:
        The network on the CPU, in training mode. The global random state is left as it was.

    Raises:
        ModelError: The shape or the number of classes is not positive, or the network does not map such
            images to that many logits.
    """
    if min(shape) < 1 or classes < 1:
        raise ModelError(
            f"No model fits images of shape {tuple(shape)} in {classes} classes: all must be 1 or more."
        )
    component: Any = config.build()
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would also seed the GPU's generators, which are not forked here.
        torch.default_generator.manual_seed(derive_seed(seed, "model"))
        model = component(shape, classes)
        _check_logits(model, config.name, shape, classes)
    return model


def load_parameters(model: nn.Module, parameters: Parameters) -> nn.Module:
    """Copy stored parameters and buffers into a model, all of them or none.

    Args:
        model: The network that receives them.
        parameters: A state dict with exactly the model's names and shapes.

    Returns:
        The same model.

    Raises:
        CheckpointError: A name is missing or unexpected, or a shape is another; the message names the first.
    """
    expected = model.state_dict()
    for name, tensor in expected.items():
        if name not in parameters:
            raise CheckpointError(
                f"The parameters lack {name!r}: they belong to another architecture or width."
            )
        if parameters[name].shape != tensor.shape:
            raise CheckpointError(
                f"The parameter {name!r} has shape {tuple(parameters[name].shape)}, the model's has "
                f"{tuple(tensor.shape)}: build the model with the settings that they were trained with."
            )
    for name in parameters:
        if name not in expected:
            raise CheckpointError(
                f"The model has no parameter {name!r}: the parameters belong to another architecture."
            )
    model.load_state_dict(parameters)
    return model


def _check_logits(model: nn.Module, name: str, shape: tuple[int, int, int], classes: int) -> None:
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ModelError(
            f"The model {name!r} can't take images of shape {tuple(shape)} ({error}): choose another "
            "model, or another data.image_size."
        ) from error
    model.train()
    if tuple(logits.shape) != (1, classes):
        raise ModelError(
            f"The model {name!r} returns {tuple(logits.shape)} for one image, not (1, {classes}): "
            "return one logit for each class."
        )
