"""The two models of a case."""

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
        original: Before.
        unlearned: After.
        architecture: On torch's meta device: layers and shapes, no numbers.
        classes: How many logits both return.
    """

    original: nn.Module
    unlearned: nn.Module
    architecture: nn.Module
    classes: int

    @cached_property
    def fingerprint(self) -> str:
        """A hash of layers and parameters, in hexadecimal."""
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
    """Build the network twice and fill it from two checkpoints.

    Args:
        name: As for `build_custom_model`.
        arguments: As for `build_custom_model`.
        original: The checkpoint before unlearning.
        unlearned: The checkpoint after it.
        shape: Of one sample: of an image channels, height and width.
        classes: As for `build_custom_model`.
        dtype: Of a sample: int64 for tokens.
        mean: As for `load_custom_model`.
        std: As for `load_custom_model`.
        device: Where the models compute.

    Raises:
        CheckpointError: A checkpoint can't be read, or belongs to another network.
        ConfigurationError: The network can't be made.
        ModelError: It does not take such images.
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
