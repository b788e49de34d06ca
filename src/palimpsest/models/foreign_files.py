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


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    # zipfile raises NotImplementedError for archives of later versions; whatever it is, its reader reports it.
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
