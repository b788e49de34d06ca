import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from palimpsest.errors import CheckpointError
from palimpsest.models import read_state_dict
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Stored(Record):
    parameters: Parameters
    other: torch.Tensor


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).state_dict()


def assert_same(path: Path, state: dict[str, torch.Tensor]) -> None:
    read = read_state_dict(path)
    assert sorted(read) == sorted(state)
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
        return (Path.touch, (Path("exploded"),))


def test_rejects_a_file_with_code_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state, "extra": Bomb()}, "a.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        read_state_dict(Path("a.pt"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "can't be read"),
        (b"PK\x03\x04 truncated", "can't be read"),
        (pickle.dumps([1, 2]), "not a zip archive"),
    ],
)
def test_rejects_a_file_that_is_not_a_checkpoint(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        read_state_dict(tmp_path / "a.pt")


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
        read_state_dict(tmp_path / "a.pt")


def test_accepts_tied_parameters(tmp_path: Path) -> None:
    tied = torch.rand(3, 2)
    torch.save({"a": tied, "b": tied, "c": tied.T, "d": tied[1:]}, tmp_path / "a.pt")
    assert torch.equal(read_state_dict(tmp_path / "a.pt")["c"], tied.T)


def test_rejects_missing_files_and_values(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_state_dict(tmp_path / "absent.pt")
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_state_dict(tmp_path / "a.pt")
    state["0.bias"][1] = torch.nan
    torch.save(state, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"'0.bias' of .* contains NaN or infinity"):
        read_state_dict(tmp_path / "b.pt")
