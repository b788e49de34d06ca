import argparse
import collections
import copy
import json
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.support.checkpoint_formats import CHECKPOINT_FORMATS, CheckpointFormat, Net, changed, trained
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.errors import CheckpointError
from palimpsest.models import load_checkpoint, load_custom_model, read_checkpoint
from palimpsest.proofs import prove
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Stored(Record):
    parameters: Parameters
    other: torch.Tensor


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return network().state_dict()


def assert_same(path: Path, state: dict[str, torch.Tensor]) -> None:
    read = load_checkpoint(path, network()).parameters
    assert list(read) == list(state)
    assert all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "state_dict": state},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {"state_dict": state}, "note": "nested"},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
    ],
)
def test_reads_common_forms_of_checkpoints(tmp_path: Path, state: dict[str, torch.Tensor], wrap) -> None:
    torch.save(wrap(state), tmp_path / "a.pt")
    assert_same(tmp_path / "a.pt", state)


def test_reads_safetensors_and_models_of_run_folders(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    assert_same(tmp_path / "a.safetensors", state)
    Stored(state, torch.zeros(3)).save(tmp_path / "b.safetensors")
    assert_same(tmp_path / "b.safetensors", state)


class Bomb:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('exploded').touch()",))


class MethodBomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


class Settings(dict):  # type: ignore[type-arg]
    """A mapping of a class that the reader does not know, as Lightning stores its hyperparameters."""


def test_objects_of_unknown_classes_are_skipped_and_their_code_never_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(rate=0.1)
    settings.note = "x"  # type: ignore[attr-defined]
    content = {
        "hyper_parameters": argparse.Namespace(rate=0.1, folder=Path("data")),
        "settings": settings,
        "score": np.float64(0.5),
        "lists": collections.deque([1, 2]),
        "extra": Bomb(),
        "state_dict": {f"model.{name}": value for name, value in state.items()},
    }
    torch.save(content, "a.ckpt")
    matched = load_checkpoint(Path("a.ckpt"), network())
    assert all(torch.equal(matched.parameters[name], state[name]) for name in state)
    assert matched.notes == (f"removed the prefix 'model.' from {len(state)} names",)
    assert not Path("exploded").exists()


def test_rejects_a_file_that_calls_methods_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state, "extra": MethodBomb()}, "a.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        read_checkpoint(Path("a.pt"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("suffix", [".npz", ".index.json", ""])
def test_reads_arrays_shards_and_folders(tmp_path: Path, state: dict[str, torch.Tensor], suffix: str) -> None:
    if suffix == ".npz":
        np.savez(tmp_path / "a.npz", *(value.numpy() for value in state.values()))
        assert_same(tmp_path / "a.npz", state)
        return
    names = list(state)
    places = {name: f"shard-{index % 2}.safetensors" for index, name in enumerate(names)}
    for shard in set(places.values()):
        save_file({name: state[name] for name in names if places[name] == shard}, tmp_path / shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert_same(index if suffix else tmp_path, state)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 truncated", "can't be read"),
        (pickle.dumps([1, 2]), "not a zip archive"),
        (b"\x89HDF\r\n\x1a\n more", "an HDF5 file, as Keras saves"),
        (b"GGUF more", "a GGUF file"),
        (b"\x93NUMPY more", "a single NumPy array"),
    ],
)
def test_rejects_a_file_that_is_not_a_checkpoint(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [
        # One kilobyte on disk, but ten gigabytes as soon as its values are read.
        lambda: torch.zeros(1).expand(50_000, 50_000),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.empty(10**6, 10**6, device="meta"),
        lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]),
        lambda: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8),
        lambda: torch.rand(3).to(torch.float8_e4m3fn),
    ],
)
def test_rejects_tensors_that_are_not_dense(tmp_path: Path, make) -> None:
    torch.save({"w": make()}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"'w' of .* is not a dense array"):
        read_checkpoint(tmp_path / "a.pt")


def test_accepts_tied_parameters(tmp_path: Path) -> None:
    tied = torch.rand(3, 2)
    torch.save({"a": tied, "b": tied, "c": tied.T, "d": tied[1:]}, tmp_path / "a.pt")
    assert torch.equal(read_checkpoint(tmp_path / "a.pt")[0].tensors["c"], tied.T)


def test_rejects_missing_files_and_values(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_checkpoint(tmp_path / "absent.pt")
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_checkpoint(tmp_path / "a.pt", network())
    state["0.bias"][1] = torch.nan
    torch.save(state, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"'0.bias' of .* contains NaN or infinity"):
        load_checkpoint(tmp_path / "b.pt", network())


def test_a_pickle_that_names_classes_without_end_is_rejected_quickly(tmp_path: Path) -> None:
    names = b"".join(b"cm\nn%d\n0" % index for index in range(200_000))
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + names + b"N.")
        archive.writestr("a/version", b"3\n")
    with pytest.raises(CheckpointError, match="names more than 1,000 classes"):
        read_checkpoint(tmp_path / "a.pt")


IMAGES = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2, 1])


def reference_gradients(network: nn.Module) -> Tensor:
    """Return the gradient of each image's loss by one backward pass each (correct, slow)."""
    rows = []
    for image, label in zip(IMAGES, LABELS, strict=True):
        loss = nn.functional.cross_entropy(network(image[None]), label[None])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))]))
    return torch.stack(rows)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("form", CHECKPOINT_FORMATS, ids=str)
def test_every_format_is_read_with_the_right_values_or_refused(
    form: CheckpointFormat, tmp_path: Path
) -> None:
    path = form.write(tmp_path)
    if form.refusal:
        with pytest.raises(CheckpointError, match=re.escape(form.refusal)) as refused:
            load_checkpoint(path, Net(), twin=Net())
        assert str(path) in str(refused.value)
        return
    matched = load_checkpoint(path, Net(), twin=Net())
    assert bool(matched.notes) == bool(form.note)
    assert form.note in "; ".join(matched.notes)
    expected = trained()
    if form.change is None:
        for name, value in expected.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                assert torch.equal(matched.parameters[name].float(), value.float()), name
    loaded = load_custom_model(Net(), matched.parameters)
    proofs = prove(loaded, trained(2), ImageSet("forgotten", IMAGES, LABELS, 3)).vectors
    plain = expected
    if form.change is not None:
        plain = copy.deepcopy(expected)
        parted = changed(form.change).eval()
        parted(IMAGES)
        with torch.no_grad():
            plain.conv.weight.copy_(parted.conv.weight)
    difference = reference_gradients(plain) - reference_gradients(trained(2))
    torch.testing.assert_close(proofs, difference, rtol=1e-4, atol=1e-6)
