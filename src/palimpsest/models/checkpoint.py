"""State dicts as others store them: safetensors, or torch files that hold nothing but tensors."""

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
        CheckpointError: The file is missing or damaged, would run code, holds no state dict, a tensor that is no plain
            array of numbers, or a value that is not finite.
        ResourceError: It would not fit into memory.
    """
    stored: Any = read_tensors(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    parameters = _bare(_state_dict(stored, path))
    for name, value in parameters.items():
        if not _is_plain(value):
            raise CheckpointError(
                f"The tensor {name[:_LONGEST]!r} of {path} is no plain array of numbers that a model's parameters are "
                "made of (it is sparse, quantized, of 8 bits, or a few numbers repeated): save it as float32."
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(
                f"The tensor {name[:_LONGEST]!r} of {path} holds values that are not finite: the training diverged, or "
                "the file is damaged."
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


def _is_plain(value: Tensor) -> bool:
    """Whether the numbers lie in memory one by one: a torch file of a kilobyte can repeat one of them a trillion
    times.
    """
    if value.layout != torch.strided or value.is_nested or value.is_quantized or value.device.type != "cpu":
        return False
    held = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    return held and not (value.is_floating_point() and value.element_size() < 2)


def _bare(parameters: dict[str, Tensor]) -> Parameters:
    """The names as the model has them."""
    recorded = {name: value for name, value in parameters.items() if name.startswith(_RECORD)}
    if recorded:
        return {name.removeprefix(_RECORD): value for name, value in recorded.items()}
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in parameters):
            parameters = {name.removeprefix(prefix): value for name, value in parameters.items()}
    return parameters
