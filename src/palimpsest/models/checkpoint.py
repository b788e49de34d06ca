"""State dicts as others store them: safetensors, or torch files that hold nothing but tensors."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from palimpsest.errors import CheckpointError
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
    stored: Any = read_tensors(path)[0] if path.suffix == ".safetensors" else _read_torch(path)
    parameters = _bare(_state_dict(stored, path))
    for name, value in parameters.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(
                f"The tensor {name!r} of {path} holds values that are not finite: the training diverged, or the file "
                "is damaged."
            )
    return parameters


def _read_torch(path: Path) -> object:
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: check the path.")
    try:
        with warnings.catch_warnings():
            # Of an old pickle protocol torch warns, and then reads it or not.
            warnings.simplefilter("ignore")
            _refuse_bomb(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and reading it could run code: save `model.state_dict()` alone, or as "
            "safetensors."
        ) from error
    # A damaged file leads torch into errors of almost any type.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as a file of torch.save ({reason}): give safetensors or a saved state dict."
        ) from error


def _refuse_bomb(path: Path) -> None:
    """torch.save stores tensors as they are; packed ones could unpack to more than memory holds."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is a packed archive, which torch.save does not write")


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
