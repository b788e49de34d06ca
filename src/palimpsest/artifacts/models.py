"""The two models that a user supplies: before and after unlearning."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from palimpsest.gradients import parameter_count, set_trainable
from palimpsest.models import (
    Logits,
    as_classifier,
    build_custom_model,
    count_classes,
    load_checkpoint,
    load_custom_model,
)
from palimpsest.storage import parameters_hash


@dataclass(frozen=True)
class Models:
    """The model before and after unlearning, in evaluation mode.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        architecture: The network on torch's meta device: layers and shapes without parameter values.
        classes: Number of logits that both models return.
        notes: What was done to the checkpoints' names, and which parameters are frozen, as sentences.
        stored: Hashes of the two files' own tensors where they hold only the trained part, such as an adapter; these
            are the models that a federation exchanges.
    """

    original: nn.Module
    unlearned: nn.Module
    architecture: nn.Module
    classes: int
    notes: tuple[str, ...] = ()
    stored: tuple[str | None, str | None] = (None, None)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the layers and of both models' parameters, in hexadecimal."""
        parts = [repr(self.architecture)]
        parts += [parameters_hash(model.state_dict()) for model in (self.original, self.unlearned)]
        return sha256("\n".join(parts).encode()).hexdigest()


# Long: its docstring documents each parameter.
def load_models(
    name: str,
    arguments: Mapping[str, Any],
    *,
    original: Path,
    unlearned: Path,
    samples: Tensor,
    classes: int,
    trainable: Sequence[str] | None = None,
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
        samples: Samples that the models will be used with, `[n, ...]`, at least one.
        classes: As for `build_custom_model`.
        trainable: Patterns of the parameters that clients train, as for `set_trainable`. If omitted, those that the
            factory leaves trainable.
        mean: As for `load_custom_model`.
        std: As for `load_custom_model`.
        device: The device of the models.

    Raises:
        CheckpointError: A checkpoint can't be read, or belongs to another network.
        ConfigurationError: The network can't be built.
        ModelError: The network does not accept the samples, is random in evaluation mode, or has no parameter that a
            pattern matches.
    """

    def build(seed: int) -> nn.Module:
        network = build_custom_model(
            name, arguments, shape=tuple(samples.shape[1:]), classes=classes, seed=seed
        )
        if trainable is not None:
            set_trainable(network, trainable)
        return network

    twin, notes, stored = build(1), list[str](), list[str | None]()

    def fill(path: Path) -> nn.Module:
        network = build(0)
        matched = load_checkpoint(path, network, twin=twin)
        notes.extend(f"{path.name}: {note}." for note in matched.notes)
        stored.append(parameters_hash(matched.stored) if matched.stored else None)
        return load_custom_model(network, matched.parameters, mean=mean, std=std).to(device)

    before, after = (as_classifier(fill(path), samples) for path in (original, unlearned))
    notes += _describe_single_logit(before) + _describe_trainable(before)
    return Models(
        before,
        after,
        copy.deepcopy(before).to("meta"),
        count_classes(before, samples),
        tuple(dict.fromkeys(notes)),
        (stored[0], stored[1]),
    )


def _describe_single_logit(model: nn.Module) -> list[str]:
    """Return a note on the loss of a network that returns one logit, if it does."""
    if not (isinstance(model, Logits) and model.single):
        return []
    return ["The network returns a single logit: its loss is the binary cross-entropy of the labels 0 and 1."]


def _describe_trainable(model: nn.Module) -> list[str]:
    """Return a note on the frozen parameters, if there are any."""
    trained, total = parameter_count(model), sum(parameter.numel() for parameter in model.parameters())
    if trained == total:
        return []
    return [
        f"Proofs are of the {trained:,} trainable parameters of {total:,}; the others are frozen. If "
        "clients train other ones, set --trainable."
    ]
