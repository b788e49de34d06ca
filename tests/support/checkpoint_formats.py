"""The checkpoint formats that `load_checkpoint` is tested with. docs/file_formats.py makes a table of them."""

import argparse
import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tests.support.format_case import FormatCase
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

Tensors = dict[str, Tensor]
CONVERT = "Convert it: build the network in PyTorch, copy the weights, and save `model.state_dict()`"


class Net(nn.Module):
    """A small network with batch normalization, a buffer that it makes itself, and tied weights."""

    def __init__(self) -> None:
        """Create the layers."""
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.head = nn.Linear(4, 3)
        self.register_buffer("scale", torch.full((4,), 0.5))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `[n, 3]`."""
        features = self.norm(self.conv(images)).relu().mean((2, 3)) * self.scale
        return self.head(self.second(self.first(features).relu()))


def trained(seed: int = 1) -> Net:
    """Return the network with random parameters and statistics, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Net()
        for _ in range(3):
            network(torch.randn(8, 1, 5, 5))
    # Half precision stores these values without loss.
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())
    return network.eval()


@dataclass(frozen=True)
class CheckpointFormat(FormatCase):
    """One checkpoint format.

    Args:
        change: Changes the network as the tool does before it is saved, such as by pruning; the values that the changed
            network computes with are the expected ones.
    """

    change: Callable[[Net], object] | None = None


def _state(network: Net) -> Tensors:
    return dict(network.state_dict())


def _torch(wrap: Callable[[Tensors], object], name: str = "model.pt") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(wrap(_state(trained())), folder / name)
        return folder / name

    return write


def _prefixed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _numpy(named: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        arrays = {name: value.numpy() for name, value in _state(trained()).items()}
        if named:
            np.savez(folder / "model.npz", allow_pickle=False, **arrays)
        else:
            np.savez(folder / "model.npz", *arrays.values())
        return folder / "model.npz"

    return write


def _untied(state: Tensors) -> Tensors:
    """Copy the tied weight, as safetensors stores no tensor twice."""
    return {name: value.clone() for name, value in state.items()}


def _safetensors(folder: Path) -> Path:
    save_file(_untied(_state(trained())), folder / "model.safetensors")
    return folder / "model.safetensors"


def _sharded(suffix: str, *, whole_folder: bool) -> Callable[[Path], Path]:
    stem = "model" if suffix == ".safetensors" else "pytorch_model"

    def write(folder: Path) -> Path:
        state = _untied(_state(trained()))
        places = {name: f"{stem}-0000{place % 2 + 1}-of-00002{suffix}" for place, name in enumerate(state)}
        for shard in sorted(set(places.values())):
            part = {name: state[name] for name in state if places[name] == shard}
            (save_file if suffix == ".safetensors" else torch.save)(part, folder / shard)
        index = folder / f"{stem}{suffix}.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
        (folder / "config.json").write_text("{}")
        return folder if whole_folder else index

    return write


def _pretrained(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        state = _untied(_state(trained()))
        (save_file if name.endswith(".safetensors") else torch.save)(state, folder / name)
        (folder / "config.json").write_text('{"architectures": ["Net"]}')
        return folder

    return write


def _lightning(state: Tensors) -> dict[str, Any]:
    return {
        "epoch": 3,
        "global_step": 96,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": _prefixed("model.")(state) | {"criterion.weight": torch.ones(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": argparse.Namespace(lr=0.1, data=Path("data")),
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9)}},
    }


def changed(change: Callable[[Net], object]) -> Net:
    """Return the network after a change that draws random numbers, which are the same in each call."""
    network = trained()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        change(network)
    return network


def _reparametrized(change: Callable[[Net], object]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        network = changed(change)
        torch.save(network.state_dict(), folder / "model.pt")
        return folder / "model.pt"

    return write


def _changed(title: str, change: Callable[[Net], object], note: str) -> CheckpointFormat:
    return CheckpointFormat(title, _reparametrized(change), note, change=change)


def _torchscript(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), folder / "model.pt")
    return folder / "model.pt"


def _truncated(folder: Path) -> Path:
    path = _torch(lambda state: state)(folder)
    path.write_bytes(path.read_bytes()[:-500])
    return path


def _without(*endings: str) -> Callable[[Tensors], Tensors]:
    return lambda state: {name: value for name, value in state.items() if not name.endswith(endings)}


def _batches(value: Tensor) -> Callable[[Tensors], Tensors]:
    return lambda state: state | {"norm.num_batches_tracked": value}


def _two(state: Tensors) -> dict[str, Tensors]:
    return {"model": state, "model_ema": {name: value + 1 for name, value in state.items()}}


def _fsdp(state: Tensors) -> Tensors:
    return {f"conv._fsdp_wrapped_module.{n[5:]}" if n.startswith("conv.") else n: v for n, v in state.items()}


def _deepspeed(folder: Path) -> Path:
    (folder / "global_step10").mkdir()
    (folder / "latest").write_text("global_step10")
    torch.save({"module": _state(trained())}, folder / "global_step10" / "mp_rank_00_model_states.pt")
    return folder


def _distributed(folder: Path) -> Path:
    (folder / ".metadata").write_bytes(pickle.dumps({}))
    (folder / "__0_0.distcp").write_bytes(b"x")
    return folder


def _saved_model(folder: Path) -> Path:
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"x")
    return folder


def _keras_names(state: Tensors) -> Tensors:
    return {
        "conv2d/kernel:0": state["conv.weight"].permute(2, 3, 1, 0),
        "conv2d/bias:0": state["conv.bias"],
        "dense/kernel:0": state["head.weight"].T,
        "dense/bias:0": state["head.bias"],
    }


def _nvflare(state: Tensors) -> dict[str, Any]:
    arrays = {name: value.numpy() for name, value in state.items()}
    return {
        "model": arrays,
        "train_conf": {"train": {"model": "Net"}},
        "rounds": np.zeros(1000),
        "meta_props": {"processed_keys": []},
    }


_PREFIXES = (
    "module.",
    "_orig_mod.",
    "_module.",
    "model.",
    "net.",
    "module._orig_mod.",
    "_orig_mod.module.model.net.",
)

CHECKPOINT_FORMATS: list[CheckpointFormat] = [
    CheckpointFormat("`torch.save(model.state_dict())`", _torch(lambda state: state)),
    CheckpointFormat("safetensors", _safetensors),
    *(
        CheckpointFormat(
            f"the prefix `{prefix}` on all names", _torch(_prefixed(prefix)), "removed the prefix"
        )
        for prefix in _PREFIXES
    ),
    CheckpointFormat(
        "FSDP's name components", _torch(_fsdp), "removed the components of wrappers inside of 2 names"
    ),
    CheckpointFormat(
        "a state dict under any keys", _torch(lambda state: {"epoch": 3, "best": {"model": state}})
    ),
    CheckpointFormat(
        "PyTorch Lightning (`.ckpt`)",
        _torch(_lightning, "last.ckpt"),
        "left out criterion.weight, which the network",
    ),
    CheckpointFormat(
        "NVFlare (`FL_global_model.pt`) with tensors", _torch(lambda s: {"model": s, "train_conf": {}})
    ),
    CheckpointFormat(
        "NVFlare with NumPy arrays",
        _torch(_nvflare),
        refusal="it holds NumPy arrays or other bytes: save tensors",
    ),
    CheckpointFormat("`numpy.savez(**arrays)`", _numpy(named=True)),
    CheckpointFormat(
        "`numpy.savez(*arrays)`, as in Flower's guide",
        _numpy(named=False),
        "arrays without names in the order of the network's state dict",
    ),
    CheckpointFormat(
        "a list of tensors in the order of the state dict",
        _torch(lambda state: list(state.values())),
        "arrays without names in the order of the network's state dict",
    ),
    CheckpointFormat("safetensors shards with an index", _sharded(".safetensors", whole_folder=False)),
    CheckpointFormat("torch shards with an index", _sharded(".bin", whole_folder=False)),
    CheckpointFormat("a folder of Hugging Face with shards", _sharded(".safetensors", whole_folder=True)),
    CheckpointFormat("a folder of Hugging Face, `model.safetensors`", _pretrained("model.safetensors")),
    CheckpointFormat("a folder of Hugging Face, `pytorch_model.bin`", _pretrained("pytorch_model.bin")),
    _changed(
        "pruned (`torch.nn.utils.prune`)",
        lambda net: prune.l1_unstructured(net.conv, "weight", 0.4),
        "merged pruning of 1 weight",
    ),
    _changed(
        "weight normalization (`parametrizations.weight_norm`)",
        lambda net: parametrizations.weight_norm(net.conv),
        "merged weight normalization of 1 weight",
    ),
    _changed(
        "weight normalization (`torch.nn.utils.weight_norm`)",
        lambda net: weight_norm(net.conv),
        "merged weight normalization of 1 weight",
    ),
    _changed(
        "spectral normalization (`parametrizations.spectral_norm`)",
        lambda net: parametrizations.spectral_norm(net.conv),
        "merged spectral normalization of 1 weight",
    ),
    _changed(
        "spectral normalization (`torch.nn.utils.spectral_norm`)",
        lambda net: spectral_norm(net.conv),
        "merged spectral normalization of 1 weight",
    ),
    CheckpointFormat("tied weights saved once", _torch(_without("second.weight")), "filled 1 tied weight"),
    CheckpointFormat(
        "without a buffer that the network makes", _torch(_without("scale")), "kept scale as the network"
    ),
    CheckpointFormat("`num_batches_tracked` missing", _torch(_without("num_batches_tracked"))),
    CheckpointFormat("`num_batches_tracked` as a float", _torch(_batches(torch.tensor(3.0)))),
    CheckpointFormat("`num_batches_tracked` of shape [1]", _torch(_batches(torch.tensor([3])))),
    CheckpointFormat(
        "half precision",
        _torch(lambda state: {n: v.half() if v.is_floating_point() else v for n, v in state.items()}),
    ),
    CheckpointFormat(
        "NumPy scalars beside tensors",
        _torch(lambda state: {"accuracy": np.float64(0.9), "loss": np.float32(0.1), "state": state}),
    ),
    CheckpointFormat(
        "settings of unknown classes beside tensors",
        _torch(
            lambda state: {
                "args": argparse.Namespace(lr=0.1),
                "extra": OrderedDict(a=Path("a")),
                "model": state,
            }
        ),
    ),
    CheckpointFormat(
        "an equal average beside the model", _torch(lambda s: {"model": s, "model_ema": _untied(s)})
    ),
    CheckpointFormat(
        "`model` and a different `model_ema`",
        _torch(_two),
        refusal="it holds 2 different state dicts that fit the network: 'model', 'model_ema'",
    ),
    CheckpointFormat(
        "DeepSpeed, its `mp_rank_00_model_states.pt`",
        lambda folder: _deepspeed(folder) / "global_step10" / "mp_rank_00_model_states.pt",
    ),
    CheckpointFormat("a folder of DeepSpeed", _deepspeed, refusal="a checkpoint folder of DeepSpeed"),
    CheckpointFormat(
        "a folder of `torch.distributed.checkpoint` (FSDP)",
        _distributed,
        refusal="a folder of torch.distributed.checkpoint, as FSDP saves it",
    ),
    CheckpointFormat(
        "a folder of TensorFlow's SavedModel", _saved_model, refusal="a SavedModel of TensorFlow"
    ),
    CheckpointFormat(
        "running statistics missing",
        _torch(_without("running_mean", "running_var")),
        refusal="the running statistics of batch normalization were not saved",
    ),
    CheckpointFormat(
        "a part of the network",
        _torch(_without("head.weight", "head.bias")),
        refusal="only a part of the network was",
    ),
    CheckpointFormat(
        "other widths",
        _torch(lambda state: state | {"head.weight": torch.ones(5, 4), "head.bias": torch.ones(5)}),
        refusal="the network was built with other settings",
    ),
    CheckpointFormat(
        "another network",
        _torch(lambda state: {"fc.weight": torch.ones(2, 2)}),
        refusal="the checkpoint belongs to another network",
    ),
    CheckpointFormat(
        "the arrays of a Keras model under PyTorch",
        _torch(_keras_names),
        refusal="the names are those of a Keras or Flax model",
    ),
    CheckpointFormat("Keras (`.keras`)", _bytes("model.keras", b"PK"), refusal=f"a Keras archive. {CONVERT}"),
    CheckpointFormat(
        "Keras and HDF5 (`.h5`)",
        _bytes("model.h5", b"\x89HDF\r\n\x1a\n"),
        refusal=f"an HDF5 file, as Keras saves models. {CONVERT}",
    ),
    CheckpointFormat("OpenFL (`.pbuf`)", _bytes("best.pbuf", b"x"), refusal="an OpenFL model protobuf"),
    CheckpointFormat("NVFlare (`.fobs`)", _bytes("model.fobs", b"x"), refusal="an NVFlare object"),
    CheckpointFormat("TorchScript", _torchscript, refusal="a TorchScript archive, which holds code"),
    CheckpointFormat("ONNX", _bytes("model.onnx", b"x"), refusal=f"an ONNX graph. {CONVERT}"),
    CheckpointFormat(
        "TensorFlow (`.pb`)", _bytes("model.pb", b"x"), refusal=f"a TensorFlow graph. {CONVERT}"
    ),
    CheckpointFormat(
        "TensorFlow Lite", _bytes("m.tflite", b"x"), refusal=f"a TensorFlow Lite model. {CONVERT}"
    ),
    CheckpointFormat("Flax (`.msgpack`)", _bytes("m.msgpack", b"x"), refusal=f"a Flax checkpoint. {CONVERT}"),
    CheckpointFormat(
        "GGUF", _bytes("model.gguf", b"GGUF"), refusal=f"a GGUF file of quantized weights. {CONVERT}"
    ),
    CheckpointFormat(
        "one array (`numpy.save`)", _bytes("m.npy", b"\x93NUMPY"), refusal="a single NumPy array"
    ),
    CheckpointFormat(
        "a whole pickled model or other pickle", _bytes("m.pt", pickle.dumps([1])), refusal="it is not a zip"
    ),
    CheckpointFormat("a truncated file", _truncated, refusal="it is truncated or damaged"),
    CheckpointFormat(
        "an empty file", _bytes("model.pt", b""), refusal="is empty: the program that saved it was stopped"
    ),
]
