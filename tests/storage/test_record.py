import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.storage import Parameters, Record, file_hash, read_tensors, save_tensors


@dataclass(frozen=True)
class Part:
    name: str
    loss: float | None


@dataclass(frozen=True)
class Sample(Record):
    vector: Tensor
    parameters: Parameters
    parts: list[Part]
    counts: dict[int, str]
    pair: tuple[int, ...]


@dataclass(frozen=True)
class Other(Record):
    vector: Tensor


@dataclass(frozen=True)
class Special(Other):
    size: int


@dataclass(frozen=True)
class Holder(Record):
    one: Other
    many: tuple[Other, ...]


def sample() -> Sample:
    weights = {"a.weight": torch.randn(3, 2), "a.steps": torch.tensor(7), "b.bias": torch.randn(2)}
    return Sample(
        torch.arange(6.0).view(2, 3).T, weights, [Part("x", 0.5), Part("y", None)], {3: "three"}, (1, 2)
    )


def test_saves_and_loads_every_field(tmp_path: Path) -> None:
    value = sample()
    value.save(tmp_path / "value.safetensors")
    loaded = Sample.load(tmp_path / "value.safetensors")
    assert torch.equal(loaded.vector, value.vector)
    assert loaded.parameters.keys() == value.parameters.keys()
    assert all(torch.equal(loaded.parameters[name], tensor) for name, tensor in value.parameters.items())
    assert (loaded.parts, loaded.counts, loaded.pair) == (value.parts, value.counts, value.pair)


def test_equal_records_give_equal_files(tmp_path: Path) -> None:
    value = sample()
    for name in "ab":
        value.save(tmp_path / name)
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b")


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    sample().save(tmp_path / "value")
    assert stat.S_IMODE((tmp_path / "value").stat().st_mode) == 0o600


@pytest.mark.parametrize("length", [0, 4, 20, 200])
def test_rejects_a_truncated_file(tmp_path: Path, length: int) -> None:
    path = tmp_path / "value"
    sample().save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        Sample.load(path)


def test_rejects_another_record(tmp_path: Path) -> None:
    Other(torch.ones(1)).save(tmp_path / "value")
    with pytest.raises(CheckpointError, match="holds 'Other', expected 'Sample'"):
        Sample.load(tmp_path / "value")


def test_rejects_a_record_without_its_tensor(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "value", {"record": "Other", "fields": "{}"})
    with pytest.raises(CheckpointError, match="not a complete Other"):
        Other.load(tmp_path / "value")


def test_nested_records_may_be_of_subclasses(tmp_path: Path) -> None:
    value = Holder(Special(torch.ones(2), 3), (Other(torch.zeros(1)), Special(torch.arange(4), 5)))
    value.save(tmp_path / "value.safetensors")
    loaded = Holder.load(tmp_path / "value.safetensors")
    assert [type(record) for record in (loaded.one, *loaded.many)] == [Special, Other, Special]
    assert torch.equal(loaded.many[1].vector, torch.arange(4))
    assert isinstance(loaded.one, Special)
    assert loaded.one.size == 3


def test_rejects_nested_records_of_other_types(tmp_path: Path) -> None:
    Holder(Other(torch.ones(2)), ()).save(tmp_path / "value.safetensors")
    tensors, metadata = read_tensors(tmp_path / "value.safetensors")
    metadata["fields"] = metadata["fields"].replace("Other", "Sample")
    save_tensors(tmp_path / "value.safetensors", tensors, metadata)
    with pytest.raises(CheckpointError, match="not a complete Holder"):
        Holder.load(tmp_path / "value.safetensors")
