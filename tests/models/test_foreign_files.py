from pathlib import Path

import pytest
import torch
from torch import nn

from palimpsest.models.foreign_files import foreign_folder, foreign_format


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "Keras"),
        ("a.keras", b"PK", "Keras"),
        ("a.pt", b"GGUF\x03", "GGUF"),
        ("a.npy", b"\x93NUMPY\x01", "NumPy"),
        ("a.onnx", b"x", "ONNX"),
        ("saved_model.pb", b"x", "TensorFlow"),
        ("a.tflite", b"x", "TensorFlow Lite"),
        ("a.msgpack", b"x", "Flax"),
        ("init.pbuf", b"x", "OpenFL"),
    ],
)
def test_names_the_tool_and_a_remedy(tmp_path: Path, name: str, content: bytes, tool: str) -> None:
    (tmp_path / name).write_bytes(content)
    description = foreign_format(tmp_path / name)
    assert description is not None
    assert tool in description
    assert "ave " in description


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_recognized_and_state_dicts_are_not_foreign(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), tmp_path / "a.pt")
    assert "TorchScript" in str(foreign_format(tmp_path / "a.pt"))
    torch.save(nn.Linear(2, 1).state_dict(), tmp_path / "b.pt")
    for path in (tmp_path / "b.pt", tmp_path / "absent.pt"):
        assert foreign_format(path) is None


@pytest.mark.parametrize(
    ("files", "tool"),
    [
        ((".metadata", "__0_0.distcp"), "torch.distributed.checkpoint"),
        (("latest", "global_step10"), "DeepSpeed"),
        (("saved_model.pb",), "TensorFlow"),
        (("latest",), None),
        (("config.json", "model.safetensors"), None),
    ],
)
def test_names_the_tool_of_a_folder(tmp_path: Path, files: tuple[str, ...], tool: str | None) -> None:
    for name in files:
        (tmp_path / name).touch()
    description = foreign_folder(tmp_path)
    assert (description is None) if tool is None else (tool in str(description))
