"""Loading of state dicts from safetensors and `torch.save` files, without running code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.models.torch_file import read_torch_file
from palimpsest.storage import Parameters, read_tensors

_NESTED = ("state_dict", "model_state_dict", "model", "net")
_RECORD = "parameters/"
_LONGEST = 200
# DataParallel and torch.compile prepend these to every name.
_PREFIXES = ("module.", "_orig_mod.")


def read_state_dict(path: Path) -> Parameters:
    """Read a state dict. Only tensors and plain containers are unpickled.

    The state dict may be the file's content, be nested in a training checkpoint under a common key (`state_dict`,
    `model_state_dict`, `model` or `net`), or be a model of a run folder. The prefixes that `DataParallel` and
    `torch.compile` add to every name are removed.

    Args:
        path: A `.safetensors` file, or a file of `torch.save`, which is read with `weights_only`.

    Returns:
        Parameters and buffers by name, on the CPU.

    Raises:
        CheckpointError: The file is missing or damaged, would run code, or holds no state dict; or a tensor is not
            dense or contains NaN or infinity.
        ResourceError: The file's content does not fit into memory.
    """
    stored: Any = read_tensors(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    parameters = _strip_prefixes(_find_state_dict(stored, path))
    for name, value in parameters.items():
        if not _is_dense(value):
            raise CheckpointError(
                f"The tensor {name[:_LONGEST]!r} of {path} is not a dense array of numbers. It is sparse, nested, "
                "quantized, an 8-bit float, on the meta device, or an expanded view. Save it as a contiguous float32 "
                "tensor."
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(
                f"The tensor {name[:_LONGEST]!r} of {path} contains NaN or infinity. The training diverged, or the "
                "file is damaged."
            )
    return parameters


def _find_state_dict(stored: object, path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file's content, which may nest it in a training checkpoint."""
    for _ in range(3):
        if not isinstance(stored, Mapping) or not stored:
            break
        if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in stored.items()):
            return dict(stored)
        stored = next((stored[name] for name in _NESTED if isinstance(stored.get(name), Mapping)), None)
    raise CheckpointError(
        f"{path} holds no state dict. Save `model.state_dict()`, a mapping from names to tensors."
    )


def _is_dense(value: Tensor) -> bool:
    """Return whether the storage holds every element.

    A torch file of one kilobyte can hold a view that repeats one number a trillion times.
    """
    if value.layout != torch.strided or value.is_nested or value.is_quantized or value.device.type != "cpu":
        return False
    stored_in_full = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    return stored_in_full and not (value.is_floating_point() and value.element_size() < 2)


def _strip_prefixes(parameters: dict[str, Tensor]) -> Parameters:
    """Return the parameters under the model's own names."""
    recorded = {name: value for name, value in parameters.items() if name.startswith(_RECORD)}
    if recorded:
        return {name.removeprefix(_RECORD): value for name, value in recorded.items()}
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in parameters):
            parameters = {name.removeprefix(prefix): value for name, value in parameters.items()}
    return parameters
