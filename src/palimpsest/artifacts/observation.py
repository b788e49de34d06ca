"""What a server saw, read from a file that somebody brings."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from palimpsest.artifacts.models import Models
from palimpsest.attacks import BatchLabels
from palimpsest.config import ObservationConfig
from palimpsest.errors import CheckpointError
from palimpsest.federation import Observation
from palimpsest.models import bare
from palimpsest.storage import read_tensors

_LABELS = ("labels_retained", "labels_forgotten")
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class ObservationFile:
    """An observation that was brought.

    Args:
        observation: The models and the batches' gradients.
        labels: The samples' classes, where the file has them.
    """

    observation: Observation
    labels: BatchLabels | None


def read_observation(path: Path, config: ObservationConfig, models: Models) -> ObservationFile:
    """Read the batches' gradients, or the clients' updates, and fit them to the models.

    The file holds `gradients_before` (at the original model, over retained and forgotten samples) and
    `gradients_after` (at the unlearned one, over the retained samples), each `[b, d]` with the parameters in
    `named_parameters()` order; or a tensor for each parameter under `gradients_before/<name>`, `[b, *shape]`.
    Instead of gradients there may be `updates_before` and `updates_after`: parameters after a client's steps less those
    before. It may also hold `labels_retained` `[b, n_r]` and `labels_forgotten` `[b, n_f]`.

    Args:
        path: A safetensors file.
        config: How many samples a batch has, and what steps the clients took.
        models: The model before and after unlearning.

    Raises:
        CheckpointError: A tensor is missing, is no gradient of these models, or holds what is not finite.
    """
    tensors, _ = read_tensors(path)
    before, after = (_vectors(path, tensors, which, config, models.original) for which in ("before", "after"))
    if len(before) != len(after):
        raise CheckpointError(
            f"{path} holds {len(before)} batches before unlearning and {len(after)} after it: give the same batches, "
            "in one order."
        )
    observation = Observation(
        before=_parameters(models.original),
        after=_parameters(models.unlearned),
        gradients_before=before,
        gradients_after=after,
        retained=config.retained,
        forgotten=config.forgotten,
        local_steps=config.local_steps,
        learning_rate=config.learning_rate,
    )
    return ObservationFile(observation, _labels(path, tensors, observation, models.classes))


def _vectors(
    path: Path, tensors: dict[str, Tensor], when: str, config: ObservationConfig, model: nn.Module
) -> Tensor:
    """The gradients before or after unlearning, `[b, d]`."""
    found = {kind: _flattened(path, tensors, f"{kind}_{when}", model) for kind in ("gradients", "updates")}
    given = {kind: vectors for kind, vectors in found.items() if vectors is not None}
    if len(given) != 1:
        raise CheckpointError(
            f"{path} holds {'both' if given else 'neither'} gradients_{when} {'and' if given else 'nor'} "
            f"updates_{when}: give one of them."
        )
    kind, vectors = given.popitem()
    if not vectors.is_floating_point():
        raise CheckpointError(
            f"{path}: {kind}_{when} holds {_type(vectors)}, not floating-point numbers: make it again."
        )
    # An update is minus the steps' sizes times the mean gradient along them.
    scale = -config.local_steps * config.learning_rate if kind == "updates" else 1.0
    vectors = vectors.float() / scale
    dimension = sum(parameter.numel() for parameter in model.parameters())
    if vectors.ndim != 2 or vectors.shape[1] != dimension or not len(vectors):
        raise CheckpointError(
            f"{path}: {kind}_{when} has shape {list(vectors.shape)}, and the model has {dimension:,} parameters: give "
            "a row of that length for each batch."
        )
    if not bool(vectors.isfinite().all()):
        raise CheckpointError(f"{path}: {kind}_{when} holds numbers that are not finite: make it again.")
    return vectors


def _flattened(path: Path, tensors: dict[str, Tensor], name: str, model: nn.Module) -> Tensor | None:
    """One tensor, or the parameters' own tensors side by side in their order; none where there are neither."""
    if name in tensors:
        return tensors[name]
    given = {
        key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")
    }
    if not given:
        return None
    expected = {key: parameter.shape for key, parameter in bare(model).named_parameters()}
    for key, shape in expected.items():
        # A parameter that is one number has a shape of no dimensions, and so would its gradient without batches.
        if key not in given or given[key].shape[1:] != shape or not given[key].ndim:
            told = list(given[key].shape) if key in given else "absent"
            raise CheckpointError(
                f"{path}: {name}/{key} is {told}, and the model's parameter has shape {list(shape)}: give "
                f"[{', '.join(['batches', *map(str, shape)])}]."
            )
    if len({len(given[key]) for key in expected}) > 1:
        raise CheckpointError(f"{path}: the tensors {name}/... differ in their number of batches.")
    return torch.cat(
        [given[key].reshape(len(given[key]), shape.numel()) for key, shape in expected.items()], dim=1
    )


def _labels(
    path: Path, tensors: dict[str, Tensor], observation: Observation, classes: int
) -> BatchLabels | None:
    if not any(name in tensors for name in _LABELS):
        return None
    batches = len(observation.gradients_before)
    for name, count in zip(_LABELS, (observation.retained, observation.forgotten), strict=True):
        labels = tensors.get(name)
        if labels is None or tuple(labels.shape) != (batches, count) or labels.dtype not in _WHOLE:
            told = "absent" if labels is None else f"{_type(labels)} {list(labels.shape)}"
            raise CheckpointError(
                f"{path}: {name} is {told}, and {[batches, count]} whole numbers are wanted: set observation.retained "
                "and observation.forgotten, or leave the labels out."
            )
        if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise CheckpointError(
                f"{path}: {name} holds {int(labels.min())} to {int(labels.max())}, and the model has {classes} "
                "classes: number the classes as the model does."
            )
    return BatchLabels(*(tensors[name].long() for name in _LABELS))


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
