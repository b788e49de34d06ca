"""Model files of other frameworks, recognized by suffix or first bytes, with the way to a readable checkpoint."""

import zipfile
from pathlib import Path

_CONVERT = "Convert it: build the network in PyTorch, copy the weights, and save `model.state_dict()`."
_BY_START = (
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file, as Keras saves models. {_CONVERT}"),
    (b"GGUF", f"a GGUF file of quantized weights. {_CONVERT}"),
    (b"\x93NUMPY", "a single NumPy array. Save the arrays of the model together with numpy.savez."),
)
_BY_SUFFIX = {
    ".keras": f"a Keras archive. {_CONVERT}",
    ".h5": f"an HDF5 file, as Keras saves models. {_CONVERT}",
    ".onnx": f"an ONNX graph. {_CONVERT}",
    ".pb": f"a TensorFlow graph. {_CONVERT}",
    ".tflite": f"a TensorFlow Lite model. {_CONVERT}",
    ".msgpack": f"a Flax checkpoint. {_CONVERT}",
    ".fobs": "an NVFlare object. Take FL_global_model.pt, in which its persistor saves the server's state dict.",
    ".pbuf": "an OpenFL model protobuf. Save the state dict of the aggregator's model with `fx model save`.",
}
_HEADER = 16


def foreign_format(path: Path) -> str | None:
    """Describe a file of a format that holds no PyTorch state dict.

    Args:
        path: A file; a missing one gives None.

    Returns:
        The rest of a sentence that begins with the file's name, and the remedy; or None if it is any other file.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(_HEADER)
    for magic, description in _BY_START:
        if start.startswith(magic):
            return description
    if path.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix.lower()]
    return (
        "a TorchScript archive, which holds code. Save `model.state_dict()`."
        if _is_torchscript(path)
        else None
    )


def foreign_folder(folder: Path) -> str | None:
    """Describe a folder of a tool whose checkpoints have to be converted.

    Args:
        folder: An existing folder.

    Returns:
        As for `foreign_format`.
    """
    names = {path.name for path in folder.iterdir()}
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return (
            "a folder of torch.distributed.checkpoint, as FSDP saves it. Convert it: `python -m "
            "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt`."
        )
    if "latest" in names and any(name.startswith("global_step") for name in names):
        return (
            "a checkpoint folder of DeepSpeed. Convert it with its zero_to_fp32.py; without ZeRO-3, name its file "
            "mp_rank_00_model_states.pt."
        )
    return f"a SavedModel of TensorFlow. {_CONVERT}" if "saved_model.pb" in names else None


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    # zipfile raises NotImplementedError for archives of later versions; whatever it is, its reader reports it.
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
