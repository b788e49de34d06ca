"""Storage on disk: records as safetensors files, and atomic writes."""

from typing import TYPE_CHECKING

from palimpsest.system.lazy_package import import_on_first_use

if TYPE_CHECKING:
    from palimpsest.storage.files import file_hash, remove_partial, write_json, write_text, written_whole
    from palimpsest.storage.record import Record
    from palimpsest.storage.tensors import (
        Parameters,
        cast_parameters,
        parameters_hash,
        read_tensors,
        save_tensors,
        tensor_hash,
    )

__all__ = [
    "Parameters",
    "Record",
    "cast_parameters",
    "file_hash",
    "parameters_hash",
    "read_tensors",
    "remove_partial",
    "save_tensors",
    "tensor_hash",
    "write_json",
    "write_text",
    "written_whole",
]

import_on_first_use(
    __name__,
    {
        "palimpsest.storage.files": (
            "file_hash",
            "remove_partial",
            "write_json",
            "write_text",
            "written_whole",
        ),
        "palimpsest.storage.record": ("Record",),
        "palimpsest.storage.tensors": (
            "Parameters",
            "cast_parameters",
            "parameters_hash",
            "read_tensors",
            "save_tensors",
            "tensor_hash",
        ),
    },
)
