"""Construction of a model from its configuration, and loading of stored parameters."""

from typing import Any

import torch
from torch import nn

from palimpsest.config import ModelConfig
from palimpsest.errors import CheckpointError, ModelError
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters


def build_model(config: ModelConfig, *, shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
    """Build a classifier whose initial parameters depend on the seed alone.

    Args:
        config: The architecture and its settings.
        shape: Channels, height and width of one image.
        classes: Number of classes; the network returns logits `[n, classes]`.
        seed: The run's seed.

    Returns:
        The network on the CPU, in training mode. The global random state does not change.

    Raises:
        ModelError: A dimension or the number of classes is below 1, or the network does not map images of this
            shape to one logit per class.
    """
    if min(shape) < 1 or classes < 1:
        raise ModelError(
            f"Can't build a model for images of shape {tuple(shape)} and {classes} classes. Every dimension and the "
            "number of classes must be 1 or more."
        )
    component: Any = config.build()
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed the GPU's generators, which fork_rng does not restore here.
        torch.default_generator.manual_seed(derive_seed(seed, "model"))
        model = component(shape, classes)
        _check_logits(model, config.name, shape, classes)
    return model


def load_parameters(model: nn.Module, parameters: Parameters) -> nn.Module:
    """Copy stored parameters and buffers into a model. On an error the model does not change.

    Args:
        model: The network to load them into.
        parameters: A state dict with exactly the model's names and shapes.

    Returns:
        The same model.

    Raises:
        CheckpointError: A name is missing or unexpected, or a shape differs; the message names the first one.
    """
    expected = model.state_dict()
    for name, tensor in expected.items():
        if name not in parameters:
            raise CheckpointError(
                f"The parameters lack {name!r}. They belong to another architecture or width."
            )
        if parameters[name].shape != tensor.shape:
            raise CheckpointError(
                f"The parameter {name!r} has shape {tuple(parameters[name].shape)}, but the model expects "
                f"{tuple(tensor.shape)}. Build the model with the settings that the parameters were trained with."
            )
    for name in parameters:
        if name not in expected:
            raise CheckpointError(
                f"The model has no parameter {name!r}. The parameters belong to another architecture."
            )
    # A stored state dict has no versions, without which `load_state_dict` of some layers refuses or converts it.
    with torch.no_grad():
        for name, tensor in expected.items():
            tensor.copy_(parameters[name])
    return model


def _check_logits(model: nn.Module, name: str, shape: tuple[int, int, int], classes: int) -> None:
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ModelError(
            f"The model {name!r} can't take images of shape {tuple(shape)} ({error}). Choose another model or "
            "another data.image_size."
        ) from error
    model.train()
    if tuple(logits.shape) != (1, classes):
        raise ModelError(
            f"The model {name!r} returns {tuple(logits.shape)} for one image, but (1, {classes}) was expected. "
            "It must return one logit per class."
        )
