"""A classifier that somebody brings: any factory of an `nn.Module`, or an architecture of this package by its name."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from palimpsest.config import ModelConfig, explain_validation
from palimpsest.errors import ConfigurationError, ModelError
from palimpsest.models.build import build_model, load_parameters
from palimpsest.models.normalized import Normalized, bare
from palimpsest.storage import Parameters
from palimpsest.system.import_by_name import is_reference, load_reference


def build_own(
    name: str,
    arguments: Mapping[str, Any],
    *,
    shape: tuple[int, ...],
    classes: int,
) -> nn.Module:
    """Make the network that a name and arguments stand for; its random numbers mean nothing.

    Args:
        name: `module:factory`, called with the arguments; or an architecture of this package, with its settings.
        arguments: By keyword.
        shape: Of one sample; an architecture of this package takes images of channels, height and width.
        classes: How many logits it returns; for an architecture of this package.

    Returns:
        The network on the CPU, in evaluation mode. The global random state is left as it was.

    Raises:
        ConfigurationError: The name can't be found, or the arguments are not accepted.
        ModelError: What the factory made is no `nn.Module`, or an architecture of this package is to take no images.
    """
    if not is_reference(name):
        if len(shape) != 3:
            raise ModelError(
                f"{name!r} takes images, and these samples have shape {list(shape)}: give a factory of your own, "
                "such as mypackage.nets:Net."
            )
        channels, height, width = shape
        try:
            config = ModelConfig.model_validate({"name": name, **arguments})
        except ValidationError as error:
            raise ConfigurationError(
                f"model: {explain_validation(error)} A factory of your own has the form module:name."
            ) from error
        return build_model(config, shape=(channels, height, width), classes=classes, seed=0).eval()
    factory = load_reference(name, what="model")
    with torch.random.fork_rng(devices=[]):
        try:
            model = factory(**arguments)
        # The factory is somebody else's: it may fail in any way.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigurationError(
                f"The model {name!r} can't be made with {dict(arguments)} ({type(error).__name__}: {reason}): set "
                "model_arguments to what the factory takes."
            ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model {name!r} made a {type(model).__name__}, not an nn.Module: name its factory."
        )
    return model.eval()


def fill_own(
    model: nn.Module,
    parameters: Parameters,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> nn.Module:
    """Give a network its parameters, and images in [0, 1] the normalization that it expects.

    Args:
        model: The network, which receives the parameters.
        parameters: A state dict with exactly its names and shapes.
        mean: Of each channel, where the network expects normalized images; none where it takes images in [0, 1].
        std: Given with `mean`.

    Raises:
        CheckpointError: The parameters are another model's.
        ConfigurationError: One of mean and std is missing.
    """
    load_parameters(model, parameters).float().requires_grad_(True)
    if (mean is None) != (std is None):
        raise ConfigurationError("mean and std belong together: give both, or neither.")
    return model.eval() if mean is None or std is None else Normalized(model, mean, std).eval()


def count_classes(model: nn.Module, shape: tuple[int, ...], *, dtype: torch.dtype = torch.float32) -> int:
    """How many logits a classifier returns for a sample.

    Args:
        model: In evaluation mode.
        shape: Of one sample: of an image channels, height and width.
        dtype: Of a sample: int64 for tokens.

    Raises:
        ModelError: It can't take such a sample, or returns something else than one row of finite logits.
    """
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            logits: Any = model(torch.zeros(2, *shape, device=device, dtype=dtype))
    # The network is somebody else's: it may fail in any way.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        kind, remedy = (
            ("images", "set image_size or channels, or give images")
            if len(shape) == 3
            else ("samples", "give samples")
        )
        raise ModelError(
            f"{type(bare(model)).__name__} can't take {kind} of shape {tuple(shape)} ({reason}): {remedy} of the shape "
            "that it was trained on."
        ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 2:
        described = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(
            f"{type(bare(model)).__name__} returns {described} for two samples, not (2, classes): wrap it in a module "
            "that returns the logits."
        )
    return logits.shape[1]
