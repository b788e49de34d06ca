import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from palimpsest.errors import CheckpointError
from palimpsest.storage import cast_parameters, parameters_hash, read_tensors, save_tensors, tensor_hash

TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
shapes = st.lists(st.integers(0, 4), max_size=3)


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(shapes, st.sampled_from(TYPES)),
        max_size=4,
    )
)
def test_saves_and_loads_tensors_of_any_name_type_and_shape(tmp_path_factory, described) -> None:
    tensors = {name: torch.ones(shape).to(dtype) for name, (shape, dtype) in described.items()}
    path = tmp_path_factory.getbasetemp() / "tensors.safetensors"
    save_tensors(path, tensors, {"kind": "example"})
    read, metadata = read_tensors(path)
    assert metadata == {"kind": "example"}
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_saves_views_and_tied_weights_as_separate_tensors(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    tied = nn.Linear(2, 2).weight
    save_tensors(tmp_path / "a", {"column": whole[:, 1], "transposed": whole.T, "one": tied, "other": tied})
    read, _ = read_tensors(tmp_path / "a")
    assert read["column"].tolist() == [1, 5, 9]
    assert torch.equal(read["transposed"], whole.T)
    assert torch.equal(read["one"], read["other"])


def test_order_of_metadata_does_not_change_the_file(tmp_path: Path) -> None:
    metadata = {name: name for name in "dacb"}
    save_tensors(tmp_path / "a", {"x": torch.ones(2)}, metadata)
    save_tensors(tmp_path / "b", {"x": torch.ones(2)}, dict(sorted(metadata.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rejects_a_header_longer_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="can't hold a header of 1,099,511,627,776"):
        read_tensors(tmp_path / "a")


def test_rejects_rows_without_values(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**33, 0], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match="has rows without values"):
        read_tensors(tmp_path / "a")


def test_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors"):
        read_tensors(tmp_path / "nothing.safetensors")


def test_hashes_depend_on_values_types_shapes_and_names() -> None:
    a = torch.arange(4.0)
    hashes = {tensor_hash(a), tensor_hash(a.view(2, 2)), tensor_hash(a.double()), tensor_hash(a + 1)}
    assert len(hashes) == 4
    assert parameters_hash({"a": a, "b": a + 1}) == parameters_hash({"b": a + 1, "a": a})
    assert parameters_hash({"a": a}) != parameters_hash({"b": a})


def test_casts_floating_point_tensors_only() -> None:
    found = cast_parameters({"weight": torch.ones(2), "steps": torch.tensor(3)}, torch.float64)
    assert {name: value.dtype for name, value in found.items()} == {
        "weight": torch.float64,
        "steps": torch.int64,
    }
