"""Safetensors files, validated when read, and hashes of tensors."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.storage.files import written_whole
from palimpsest.system.memory import require_room

Parameters = dict[str, Tensor]
"""A model's state dict: parameters and buffers by name."""

_LARGEST_HEADER = 2**25
_MOST_TENSORS = 2**16
_MOST_EMPTY = 2**16


def cast_parameters(
    parameters: Mapping[str, Tensor], dtype: torch.dtype, *, device: str | None = None
) -> Parameters:
    """Convert the floating-point tensors of a state dict to another type; integers such as counters keep theirs.

    Args:
        parameters: State dict.
        dtype: Floating-point type.
        device: Device of the result; None keeps that of each tensor.
    """
    return {
        name: value.to(device=device, dtype=dtype if value.is_floating_point() else None)
        for name, value in parameters.items()
    }


def tensor_hash(*tensors: Tensor) -> str:
    """Return the SHA-256 hash of the types, shapes and values of tensors, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def parameters_hash(parameters: Parameters) -> str:
    """Return the SHA-256 hash of the names, types, shapes and values of a state dict, in hexadecimal."""
    names = sorted(parameters)
    text = "\n".join(names) + tensor_hash(*(parameters[name] for name in names))
    return hashlib.sha256(text.encode()).hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically; equal values give equal bytes.

    Args:
        path: The path of the file.
        tensors: Tensors by name, on any device and with any memory layout.
        metadata: Strings by name. If omitted, the file has no metadata.

    Raises:
        ResourceError: The disk is full.
        RunError: The folder can't be written.
    """
    with written_whole(path) as temporary:
        save_file(_storable(tensors), temporary, metadata)
        _sort_header(temporary)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the string metadata of an untrusted safetensors file.

    safetensors checks the offsets of every tensor against the file size before it allocates memory. Nothing is
    unpickled.

    Raises:
        CheckpointError: The file is missing, truncated or not safetensors, or its header is invalid.
        ResourceError: The tensors do not fit into memory.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}. Check the path.")
    require_room(path, path.stat().st_size)
    try:
        _check_header_length(path)
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            names = file.keys()
            if len(names) > _MOST_TENSORS:
                raise ValueError(
                    f"its header lists {len(names):,} tensors, but at most {_MOST_TENSORS:,} are allowed"
                )
            tensors = {name: file.get_tensor(name) for name in names}
            _check_empty_tensors(tensors)
            return tensors, dict(file.metadata() or {})
    # A forged header can raise errors of almost any type in safetensors and torch.
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a complete safetensors file ({brief(error)}). Download or create it again."
        ) from error


def _check_header_length(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(_LARGEST_HEADER, max(0, path.stat().st_size - 8)):
        raise ValueError(f"its {path.stat().st_size:,} bytes can't hold a header of {length:,}")


def _check_empty_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Reject huge empty tensors: they take no space in a file, but looping over their rows would not end."""
    for name, tensor in tensors.items():
        if not tensor.numel() and max(tensor.shape) > _MOST_EMPTY:
            raise ValueError(f"{name[:80]!r} of shape {list(tensor.shape)} has rows without values")


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU that own their memory, because safetensors rejects views and tied weights."""
    owned: dict[str, Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        if value.untyped_storage().nbytes() != value.nbytes or value.data_ptr() in addresses:
            value = value.clone()
        addresses.add(value.data_ptr())
        owned[name] = value
    return owned


def _sort_header(path: Path) -> None:
    """Sort the metadata, because safetensors writes them in random order."""
    with path.open("rb+") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= length, "sorting does not lengthen a header"
        file.seek(8)
        file.write(text.ljust(length))


def brief(error: Exception) -> str:
    """Return an error's text on one line, cut to 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
