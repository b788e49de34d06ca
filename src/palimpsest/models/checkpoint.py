"""State dicts as others store them: safetensors, or torch files that hold nothing but tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.models.torch_file import read_torch_file
from palimpsest.records import Parameters, read_tensors

_NESTED = ("state_dict", "model_state_dict", "model", "net")
_RECORD = "parameters/"
# What DataParallel and torch.compile put before every name.
_PREFIXES = ("module.", "_orig_mod.")


def read_state_dict(path: Path) -> Parameters:
    """Read a state dict; nothing but tensors is ever unpickled.

    A dictionary that holds the state dict under a usual name is opened, so is a model of a run folder, and a prefix
    that every name has from `DataParallel` or `torch.compile` is taken off.

    Args:
        path: A `.safetensors` file, or one that `torch.save` wrote, which is read with `weights_only`.

    Returns:
        Parameters and buffers by name, on the CPU.

    Raises:
        CheckpointError: The file is missing or damaged, would run code, holds no state dict, or a value that is not
            finite.
    """
    stored: Any = read_tensors(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    parameters = _bare(_state_dict(stored, path))
    for name, value in parameters.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(
                f"The tensor {name!r} of {path} holds values that are not finite: the training diverged, or the file "
                "is damaged."
            )
    return parameters


def _state_dict(stored: object, path: Path) -> dict[str, Tensor]:
    """The names and tensors in what was stored."""
    for _ in range(3):
        if not isinstance(stored, Mapping) or not stored:
            break
        if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in stored.items()):
            return dict(stored)
        stored = next((stored[name] for name in _NESTED if isinstance(stored.get(name), Mapping)), None)
    raise CheckpointError(f"{path} holds no state dict: save `model.state_dict()`, names with tensors.")


def _bare(parameters: dict[str, Tensor]) -> Parameters:
    """The names as the model has them."""
    recorded = {name: value for name, value in parameters.items() if name.startswith(_RECORD)}
    if recorded:
        return {name.removeprefix(_RECORD): value for name, value in recorded.items()}
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in parameters):
            parameters = {name.removeprefix(prefix): value for name, value in parameters.items()}
    return parameters
