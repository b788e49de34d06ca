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
    return ImageSet("some", torch.rand(10, 1, 4, 4, generator=generator), torch.arange(10) % 3, 3)


@pytest.fixture
def vectors() -> torch.Tensor:
    return torch.rand(10, 7, generator=torch.Generator().manual_seed(1))


def test_any_order_of_the_images_gets_their_vectors(
    tmp_path: Path, images: ImageSet, vectors: torch.Tensor
) -> None:
    save_file({"vectors": vectors[:4].clone()}, tmp_path / "a.safetensors")
    save_file({"original": vectors[4:] + 2, "unlearned": torch.full((6, 7), 2.0)}, tmp_path / "b.safetensors")
    oracle = PrecomputedOracle(tmp_path, images)
    assert oracle.dimension == 7
    rows = torch.tensor([9, 0, 3, 4, 0])
    torch.testing.assert_close(
        torch.cat(list(oracle.differences(images.images[rows], images.labels[rows]))), vectors[rows]
    )


def test_a_sample_that_was_not_asked_about_is_refused(
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
def test_files_of_another_form_are_refused(
    tmp_path: Path, images: ImageSet, tensors: dict[str, torch.Tensor], words: str
) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(OracleError, match=words):
        PrecomputedOracle(tmp_path, images)


def test_an_empty_folder_and_a_broken_file_are_refused(tmp_path: Path, images: ImageSet) -> None:
    with pytest.raises(OracleError, match=r"no \.safetensors files"):
        PrecomputedOracle(tmp_path, images)
    (tmp_path / "a.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(OracleError, match="not a whole safetensors file"):
        PrecomputedOracle(tmp_path, images)


def test_a_pipe_and_rows_without_numbers_are_refused(tmp_path: Path, images: ImageSet) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(OracleError, match="no regular file"):
        PrecomputedOracle(tmp_path, images)
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [2**33, 0], "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "b"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(OracleError, match="it must hold floating-point"):
        PrecomputedOracle(path, images)


def test_a_vector_that_is_not_finite_is_refused_when_it_is_asked_for(
    tmp_path: Path, images: ImageSet, vectors: torch.Tensor
) -> None:
    vectors[3, 2] = torch.inf
    save_file({"vectors": vectors}, tmp_path / "a.safetensors")
    oracle = PrecomputedOracle(tmp_path, images)
    list(oracle.differences(images.images[:3], images.labels[:3]))
    with pytest.raises(OracleError, match="not finite"):
        list(oracle.differences(images.images[3:], images.labels[3:]))
