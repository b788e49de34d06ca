"""Checkpoints as training tools leave them: read without running code, and matched to a network."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from palimpsest.errors import CheckpointError
from palimpsest.models.array_file import read_npz
from palimpsest.models.foreign_files import foreign_format
from palimpsest.models.match_names import Matched, match_names
from palimpsest.models.shards import file_in_folder, is_index, read_shards
from palimpsest.models.state_dicts import StateDict, find_state_dicts
from palimpsest.models.torch_file import read_torch_file
from palimpsest.storage import read_tensors

_LONGEST = 200


def load_checkpoint(path: Path, network: nn.Module, *, twin: nn.Module | None = None) -> Matched:
    """Read a checkpoint and bring its state dict under a network's names.

    Args:
        path: As for `read_checkpoint`.
        network: As its factory made it; it is not changed.
        twin: As for `match_names`.

    Raises:
        CheckpointError: The file can't be read, or its state dict does not fit the network.
        ResourceError: The file's content does not fit into memory.
    """
    try:
        matched = match_names(read_checkpoint(path), network, twin=twin)
    except CheckpointError as error:
        text = str(error)
        raise CheckpointError(text if str(path) in text else f"{path}: {text}") from error
    return matched


def read_checkpoint(path: Path) -> list[StateDict]:
    """Read every state dict of a checkpoint. Nothing but tensors and plain containers is unpickled.

    Args:
        path: A file of safetensors, of `torch.save` (`.pt`, `.pth`, `.bin`, `.ckpt`, Lightning's too) or of
            `numpy.savez`; the index of a sharded checkpoint, beside its shards; or a folder of `save_pretrained`.

    Returns:
        The state dicts, at any depth of the file's content; outer ones first.

    Raises:
        CheckpointError: The file is missing, damaged, empty, of another tool or without a state dict, or a tensor is
            not dense or contains NaN or infinity.
        ResourceError: The file's content does not fit into memory.
    """
    if path.is_dir():
        return read_checkpoint(file_in_folder(path))
    states = find_state_dicts(read_shards(path, _read_file) if is_index(path) else _read_file(path))
    if not states:
        raise CheckpointError(
            f"{path} holds no state dict. Save `model.state_dict()`, a mapping from names to tensors, or arrays with "
            "numpy.savez."
        )
    for state in states:
        for name, value in state.tensors.items():
            if not _is_dense(value):
                raise CheckpointError(
                    f"The tensor {name[:_LONGEST]!r} of {path} is not a dense array of numbers. It is sparse, nested, "
                    "quantized, an 8-bit float, on the meta device, or an expanded view. Save it as a contiguous "
                    "float32 tensor."
                )
            if value.is_floating_point() and not value.isfinite().all():
                raise CheckpointError(
                    f"The tensor {name[:_LONGEST]!r} of {path} contains NaN or infinity. The training diverged, or "
                    "the file is damaged."
                )
    return states


def _read_file(path: Path) -> Any:
    """Return the content of one file."""
    if path.is_file() and not path.stat().st_size:
        raise CheckpointError(
            f"{path} is empty: the program that saved it was stopped, or the disk was full."
        )
    foreign = foreign_format(path)
    if foreign is not None:
        raise CheckpointError(f"{path} is {foreign}")
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    return read_npz(path) if path.suffix == ".npz" else read_torch_file(path)


def _is_dense(value: Tensor) -> bool:
    """Return whether the storage holds every element.

    A torch file of one kilobyte can hold a view that repeats one number a trillion times.
    """
    if value.layout != torch.strided or value.is_nested or value.is_quantized or value.device.type != "cpu":
        return False
    stored_in_full = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    return stored_in_full and not (value.is_floating_point() and value.element_size() < 2)
