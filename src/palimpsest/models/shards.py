"""Checkpoints in several files: shards with their index, and folders of Hugging Face's `save_pretrained`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.models.foreign_files import foreign_folder

_LARGEST = 2**26
_IN_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_LONGEST = 200


def is_index(path: Path) -> bool:
    """Whether a path names the index of a sharded checkpoint."""
    return path.name.endswith(".index.json")


def file_in_folder(folder: Path) -> Path:
    """Return the checkpoint file of a folder that `save_pretrained` wrote.

    Args:
        folder: A folder with `config.json` and weights.

    Raises:
        CheckpointError: The folder has no such file.
    """
    found = next((folder / name for name in _IN_FOLDER if (folder / name).is_file()), None)
    foreign = foreign_folder(folder)
    if found is None and foreign is not None:
        raise CheckpointError(f"{folder} is {foreign}")
    if found is None:
        names = sorted(path.name for path in folder.iterdir())[:5]
        raise CheckpointError(
            f"{folder} is a folder without a checkpoint (it has {', '.join(names) or 'no files'}): name a file, or a "
            f"folder with {_IN_FOLDER[0]} or {_IN_FOLDER[2]}."
        )
    return found


def read_shards(path: Path, read: Callable[[Path], Any]) -> dict[str, Tensor]:
    """Read all shards that an index names.

    Args:
        path: The index, such as `model.safetensors.index.json`, beside its shards.
        read: Reads one file into tensors by name.

    Raises:
        CheckpointError: The index is damaged, names files outside of its folder, or a shard lacks a tensor.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        if not places or not all(isinstance(value, str) for pair in places.items() for value in pair):
            raise ValueError("its weight_map does not map names to files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as the index of a checkpoint ({reason}): give the index that was saved "
            "with the shards."
        ) from error
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name or name in ("", ".", ".."):
            raise CheckpointError(f"{path} names the shard {name[:_LONGEST]!r}, which is not beside it.")
        shard = path.with_name(name)
        if not shard.is_file():
            raise CheckpointError(
                f"{path} names the shard {name[:_LONGEST]!r}, which is missing: copy all shards."
            )
        stored = read(shard)
        for key in (key for key, place in places.items() if place == name):
            if not isinstance(stored, dict) or key not in stored:
                raise CheckpointError(
                    f"{shard} lacks the tensor {key[:_LONGEST]!r} that {path.name} promises: copy the shard again."
                )
            tensors[key] = stored[key]
    return tensors
