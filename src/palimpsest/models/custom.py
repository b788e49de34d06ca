"""Models that a user supplies: any factory of an `nn.Module`, or a built-in architecture by its name."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from palimpsest.config import ModelConfig, explain_validation
from palimpsest.errors import ConfigurationError, ModelError
from palimpsest.models.build import build_model, load_parameters
from palimpsest.models.determinism import require_deterministic
from palimpsest.models.logits import bare, with_logits
from palimpsest.models.normalized import Normalized
from palimpsest.storage import Parameters
from palimpsest.system.import_by_name import is_reference, load_reference

_PROBED = 256


def build_custom_model(
    name: str,
    arguments: Mapping[str, Any],
    *,
    shape: tuple[int, ...],
    classes: int,
    seed: int = 0,
) -> nn.Module:
    """Build a model from its name and arguments. Its random initial parameters are meant to be overwritten.

    Args:
        name: A factory as `module:factory`, or the name of a built-in architecture.
        arguments: Keyword arguments of the factory, or settings of the built-in architecture.
        shape: Shape of one sample. Built-in architectures need images: channels, height and width.
        classes: Number of logits that a built-in architecture returns. Factories ignore it.
        seed: Seed of the initial parameters.

    Returns:
        The network on the CPU, in evaluation mode. The global random state does not change.

    Raises:
        ConfigurationError: There is no model of this name, or it does not accept the arguments.
        ModelError: The factory returns no `nn.Module`, or a built-in architecture is asked for samples that are not
            images.
    """
    if not is_reference(name):
        if len(shape) != 3:
            raise ModelError(
                f"{name!r} takes images, but the samples have shape {list(shape)}. Pass your own factory, such as "
                "mypackage.nets:Net."
            )
        channels, height, width = shape
        try:
            config = ModelConfig.model_validate({"name": name, **arguments})
        except ValidationError as error:
            raise ConfigurationError(
                f"model: {explain_validation(error)} To use your own factory, write module:name."
            ) from error
        return build_model(config, shape=(channels, height, width), classes=classes, seed=seed).eval()
    factory = load_reference(name, what="model")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            model = factory(**arguments)
        # The factory is user code and may raise anything.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigurationError(
                f"The model {name!r} can't be built with {dict(arguments)} ({type(error).__name__}: {reason}). Set "
                "model_arguments to the arguments that the factory accepts."
            ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model {name!r} returned a {type(model).__name__}, not an nn.Module. Name a factory of an nn.Module."
        )
    return model.eval()


def load_custom_model(
    model: nn.Module,
    parameters: Parameters,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> nn.Module:
    """Load parameters into a network, and add the normalization that it expects.

    Args:
        model: The network to load the parameters into. It is converted to float32; frozen parameters stay frozen.
        parameters: A state dict with exactly the network's names and shapes.
        mean: Mean of each channel, if the network expects normalized images. If omitted, the network takes images in
            [0, 1].
        std: Standard deviation of each channel; given if and only if `mean` is.

    Returns:
        A model of images in [0, 1], in evaluation mode.

    Raises:
        CheckpointError: The parameters belong to another model.
        ConfigurationError: Only one of `mean` and `std` is given, or they are not valid.
    """
    load_parameters(model, parameters).float()
    if (mean is None) != (std is None):
        raise ConfigurationError("mean and std belong together. Set both or neither.")
    return model.eval() if mean is None or std is None else Normalized(model, mean, std).eval()


def as_classifier(model: nn.Module, samples: Tensor) -> nn.Module:
    """Return a model that maps samples to logits `[n, classes]`, with at least two classes.

    Args:
        model: The user's network, in evaluation mode.
        samples: Samples that the network will be used with, `[n, ...]`, at least one.

    Raises:
        ModelError: The network does not accept such samples, returns something else than logits, or is random in
            evaluation mode.
    """
    parameter = next(model.parameters(), None)
    if parameter is None:
        raise ModelError(
            f"{type(bare(model)).__name__} has no parameters, so nothing is trained. Name another factory."
        )
    device = parameter.device
    batch = samples[:_PROBED].to(device)
    # One sample alone would leave open which axis of the output counts the samples.
    pair = batch[:2] if len(batch) > 1 else torch.cat([batch, batch])
    try:
        classifier = with_logits(model, pair)
    except ModelError:
        raise
    # The network is user code and may raise anything.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        kind, remedy = (
            ("images", "Set image_size or channels, or pass images")
            if samples.ndim == 4
            else ("samples", "Pass samples")
        )
        raise ModelError(
            f"{type(bare(model)).__name__} can't take {kind} of shape {tuple(samples.shape[1:])} ({reason}). "
            f"{remedy} of the shape that the network was trained on."
        ) from error
    require_deterministic(classifier, batch)
    return classifier


def count_classes(classifier: nn.Module, samples: Tensor) -> int:
    """Return the number of logits that a classifier returns for a sample.

    Args:
        classifier: As `as_classifier` returns it.
        samples: Samples `[n, ...]`, at least one.
    """
    with torch.no_grad():
        return classifier(samples[:1].to(next(classifier.parameters()).device)).shape[1]
