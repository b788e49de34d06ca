"""The two models that a user supplies: before and after unlearning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from palimpsest.errors import CheckpointError
from palimpsest.models import build_custom_model, count_classes, load_custom_model, read_state_dict
from palimpsest.storage import parameters_hash


@dataclass(frozen=True)
class Models:
    """The model before and after unlearning, in evaluation mode.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        architecture: The network on torch's meta device: layers and shapes without parameter values.
        classes: Number of logits that both models return.
    """

    original: nn.Module
    unlearned: nn.Module
    architecture: nn.Module
    classes: int

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the layers and of both models' parameters, in hexadecimal."""
        parts = [repr(self.architecture)]
        parts += [parameters_hash(model.state_dict()) for model in (self.original, self.unlearned)]
        return sha256("\n".join(parts).encode()).hexdigest()


def load_models(
    name: str,
    arguments: Mapping[str, Any],
    *,
    original: Path,
    unlearned: Path,
    shape: tuple[int, ...],
    classes: int,
    dtype: torch.dtype = torch.float32,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str = "cpu",
) -> Models:
    """Build the network twice, and load the two checkpoints into it.

    Args:
        name: As for `build_custom_model`.
        arguments: As for `build_custom_model`.
        original: Path of the checkpoint before unlearning.
        unlearned: Path of the checkpoint after unlearning.
        shape: Shape of one sample; of an image `(channels, height, width)`.
        classes: As for `build_custom_model`.
        dtype: Data type of a sample; int64 for tokens.
        mean: As for `load_custom_model`.
        std: As for `load_custom_model`.
        device: The device of the models.

    Raises:
        CheckpointError: A checkpoint can't be read, or belongs to another network.
        ConfigurationError: The network can't be built.
        ModelError: The network does not accept samples of that shape.
    """

    def build() -> nn.Module:
        return build_custom_model(name, arguments, shape=shape, classes=classes)

    def fill(path: Path) -> nn.Module:
        parameters = read_state_dict(path)
        try:
            return load_custom_model(build(), parameters, mean=mean, std=std).to(device)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    before, after = fill(original), fill(unlearned)
    return Models(before, after, fill(original).to("meta"), count_classes(before, shape, dtype=dtype))
