"""The server's observation, read from a file of gradients or updates."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from palimpsest.artifacts.models import Models
from palimpsest.attacks import BatchLabels
from palimpsest.config import ObservationConfig
from palimpsest.errors import CheckpointError
from palimpsest.federation import Observation
from palimpsest.gradients import parameter_count, trainable_parameters
from palimpsest.models import bare
from palimpsest.storage import read_tensors

_LABELS = ("labels_retained", "labels_forgotten")
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class ObservationFile:
    """The contents of an observation file.

    Args:
        observation: The models and the batches' gradients.
        labels: The samples' labels, or None if the file has none.
    """

    observation: Observation
    labels: BatchLabels | None


def read_observation(path: Path, config: ObservationConfig, models: Models) -> ObservationFile:
    """Read the batches' gradients, or the clients' updates, and check them against the models.

    The file holds `gradients_before` (of the original model, on retained and forgotten samples) and
    `gradients_after` (of the unlearned model, on retained samples), each `[b, d]` with the parameters in
    `named_parameters()` order; or one tensor for each parameter, `gradients_before/<name>`, `[b, *shape]`.
    Instead of gradients it may hold `updates_before` and `updates_after`: a client's parameters after its steps minus
    those before. It may also hold `labels_retained` `[b, n_r]` and `labels_forgotten` `[b, n_f]`.

    Args:
        path: A safetensors file.
        config: The number of samples in a batch, and the clients' local steps.
        models: The model before and after unlearning.

    Raises:
        CheckpointError: A tensor is missing, has the wrong shape or type, or holds values that are not finite.
    """
    tensors, _ = read_tensors(path)
    before, after = (_vectors(path, tensors, which, config, models.original) for which in ("before", "after"))
    if len(before) != len(after):
        raise CheckpointError(
            f"{path} holds {len(before)} batches before unlearning and {len(after)} after it. Give the same batches "
            "twice, in the same order."
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
    """Return the gradients before or after unlearning, `[b, d]`."""
    found = {kind: _flattened(path, tensors, f"{kind}_{when}", model) for kind in ("gradients", "updates")}
    given = {kind: vectors for kind, vectors in found.items() if vectors is not None}
    if len(given) != 1:
        raise CheckpointError(
            f"{path} holds {'both' if given else 'neither'} gradients_{when} {'and' if given else 'nor'} "
            f"updates_{when}. Give exactly one of them."
        )
    kind, vectors = given.popitem()
    if not vectors.is_floating_point():
        raise CheckpointError(
            f"{path}: {kind}_{when} holds {_dtype(vectors)} values. Save it as floating-point numbers."
        )
    # An update is minus the sum of the step sizes times the mean gradient over the steps.
    scale = -config.local_steps * config.learning_rate if kind == "updates" else 1.0
    vectors = vectors.float() / scale
    dimension = parameter_count(model)
    if vectors.ndim != 2 or vectors.shape[1] != dimension or not len(vectors):
        raise CheckpointError(
            f"{path}: {kind}_{when} has shape {list(vectors.shape)}, but the model has {dimension:,} "
            f"trainable parameters. Give "
            "one row of that length for each batch."
        )
    if not bool(vectors.isfinite().all()):
        raise CheckpointError(
            f"{path}: {kind}_{when} holds values that are not finite. Save gradients without NaN and infinity."
        )
    return vectors


def _flattened(path: Path, tensors: dict[str, Tensor], name: str, model: nn.Module) -> Tensor | None:
    """Return a flat tensor, or concatenate the tensors of the single parameters; None if the file has neither."""
    if name in tensors:
        return tensors[name]
    given = {
        key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")
    }
    if not given:
        return None
    expected = {key: parameter.shape for key, parameter in trainable_parameters(bare(model)).items()}
    for key, shape in expected.items():
        # A scalar parameter has shape [], and so does a gradient of it that lacks the batch dimension.
        if key not in given or given[key].shape[1:] != shape or not given[key].ndim:
            state = f"has shape {list(given[key].shape)}" if key in given else "is missing"
            raise CheckpointError(
                f"{path}: {name}/{key} {state}, but the model's parameter has shape {list(shape)}. Give a tensor of "
                f"shape [{', '.join(['batches', *map(str, shape)])}]."
            )
    if len({len(given[key]) for key in expected}) > 1:
        raise CheckpointError(
            f"{path}: the tensors {name}/... have different numbers of batches. Give the same batches in each."
        )
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
        if labels is None or tuple(labels.shape) != (batches, count) or labels.dtype not in _INTEGERS:
            state = "missing" if labels is None else f"{_dtype(labels)} of shape {list(labels.shape)}"
            raise CheckpointError(
                f"{path}: {name} is {state}; integers of shape {[batches, count]} were expected. Correct "
                "observation.retained and observation.forgotten, or leave the labels out."
            )
        if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise CheckpointError(
                f"{path}: {name} holds labels from {int(labels.min())} to {int(labels.max())}, but the model has "
                f"{classes} classes. Number the labels as the model does, from 0."
            )
    return BatchLabels(*(tensors[name].long() for name in _LABELS))


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
