import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from palimpsest.errors import CheckpointError
from palimpsest.models.shards import file_in_folder, is_index, read_shards

ONE, TWO = {"a": torch.ones(2)}, {"b": torch.zeros(3)}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    save_file(ONE, tmp_path / "model-00001-of-00002.safetensors")
    save_file(TWO, tmp_path / "model-00002-of-00002.safetensors")
    places = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 20}, "weight_map": places}))
    return path


def test_all_shards_are_read(index: Path) -> None:
    assert is_index(index)
    read = read_shards(index, load_file)
    assert torch.equal(read["a"], ONE["a"])
    assert torch.equal(read["b"], TWO["b"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "can't be read as the index"),
        ("{}", "can't be read as the index"),
        ('{"weight_map": {}}', "does not map names"),
        ('{"weight_map": {"a": 3}}', "does not map names"),
        ('{"weight_map": {"a": "../other"}}', "not beside it"),
        ('{"weight_map": {"a": "absent.safetensors"}}', "is missing"),
        ('{"weight_map": {"c": "model-00001-of-00002.safetensors"}}', "lacks the tensor 'c'"),
    ],
)
def test_a_damaged_index_is_refused(index: Path, content: str, words: str) -> None:
    index.write_text(content)
    with pytest.raises(CheckpointError, match=words):
        read_shards(index, load_file)


def test_the_file_of_a_folder_is_found(index: Path) -> None:
    assert file_in_folder(index.parent) == index
    (index.parent / "model.safetensors").touch()
    assert file_in_folder(index.parent).name == "model.safetensors"


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    with pytest.raises(CheckpointError, match=r"without a checkpoint \(it has config\.json\)"):
        file_in_folder(tmp_path)
