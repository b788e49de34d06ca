import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from palimpsest.datasets import ImageSet
from palimpsest.errors import OracleError
from palimpsest.oracles import PrecomputedOracle


@pytest.fixture
def images() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    return ImageSet("drawn", torch.rand(10, 1, 4, 4, generator=generator), torch.arange(10) % 3, 3)


@pytest.fixture
def vectors() -> torch.Tensor:
    return torch.rand(10, 7, generator=torch.Generator().manual_seed(1))


def test_answers_queries_in_any_order(tmp_path: Path, images: ImageSet, vectors: torch.Tensor) -> None:
    save_file({"vectors": vectors[:4].clone()}, tmp_path / "a.safetensors")
    save_file({"original": vectors[4:] + 2, "unlearned": torch.full((6, 7), 2.0)}, tmp_path / "b.safetensors")
    oracle = PrecomputedOracle(tmp_path, images)
    assert oracle.dimension == 7
    rows = torch.tensor([9, 0, 3, 4, 0])
    torch.testing.assert_close(
        torch.cat(list(oracle.differences(images.images[rows], images.labels[rows]))), vectors[rows]
    )


def test_rejects_samples_without_a_precomputed_gradient(
    tmp_path: Path, images: ImageSet, vectors: torch.Tensor
) -> None:
    save_file({"vectors": vectors}, tmp_path / "a.safetensors")
    oracle = PrecomputedOracle(tmp_path / "a.safetensors", images)
    labels = images.labels.clone()
    labels[:2] = 2
    with pytest.raises(OracleError, match="2 of 10 samples have no precomputed gradient"):
        list(oracle.differences(images.images, labels))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"vectors": torch.zeros(9, 7)}, "9 vectors"),
        ({"vectors": torch.zeros(10)}, "must hold"),
        ({"vectors": torch.zeros(10, 7, dtype=torch.int64)}, "floating-point"),
        ({"original": torch.zeros(10, 7)}, "'original' and 'unlearned'"),
        ({"original": torch.zeros(10, 7), "unlearned": torch.zeros(10, 6)}, "shapes"),
    ],
)
def test_rejects_files_of_another_format(
    tmp_path: Path, images: ImageSet, tensors: dict[str, torch.Tensor], words: str
) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(OracleError, match=words):
        PrecomputedOracle(tmp_path, images)


def test_rejects_an_empty_folder_and_a_broken_file(tmp_path: Path, images: ImageSet) -> None:
    with pytest.raises(OracleError, match=r"no \.safetensors files"):
        PrecomputedOracle(tmp_path, images)
    (tmp_path / "a.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(OracleError, match="not a complete safetensors file"):
        PrecomputedOracle(tmp_path, images)


def test_rejects_a_pipe_and_empty_rows(tmp_path: Path, images: ImageSet) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(OracleError, match="not a regular file"):
        PrecomputedOracle(tmp_path, images)
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [2**33, 0], "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "b"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(OracleError, match="It must hold floating-point"):
        PrecomputedOracle(path, images)


def test_rejects_a_vector_that_is_not_finite_when_it_is_queried(
    tmp_path: Path, images: ImageSet, vectors: torch.Tensor
) -> None:
    vectors[3, 2] = torch.inf
    save_file({"vectors": vectors}, tmp_path / "a.safetensors")
    oracle = PrecomputedOracle(tmp_path, images)
    list(oracle.differences(images.images[:3], images.labels[:3]))
    with pytest.raises(OracleError, match="not finite"):
        list(oracle.differences(images.images[3:], images.labels[3:]))
