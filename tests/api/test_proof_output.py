from pathlib import Path

import pytest
import torch
from tests.support.warnings import Warnings

from palimpsest.api.proof_output import check_output, save_output
from palimpsest.errors import ConfigurationError
from palimpsest.progress import with_callbacks
from palimpsest.proofs import Proofs, load_proofs, save_proofs

PROOFS = Proofs(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), {"loss": "cross_entropy", "original": "a"})
OTHER = Proofs(PROOFS.vectors + 1, PROOFS.metadata)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_proofs(tmp_path / "proofs.safetensors", PROOFS)
    return tmp_path / "proofs.safetensors"


def test_before_the_work_only_proofs_may_exist(path: Path, tmp_path: Path) -> None:
    check_output(None, overwrite=False)
    check_output(tmp_path / "absent", overwrite=False)
    check_output(path, overwrite=False)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("notes.txt", "dangling"):
        with pytest.raises(ConfigurationError, match=f"{name} exists .* --overwrite"):
            check_output(tmp_path / name, overwrite=False)
        check_output(tmp_path / name, overwrite=True)


def test_a_file_of_the_same_proofs_stays(path: Path) -> None:
    before = path.read_bytes()
    with with_callbacks(recorded := Warnings()):
        save_output(path, PROOFS, overwrite=False)
        save_output(path, Proofs(PROOFS.vectors, {"loss": "cross_entropy"}), overwrite=False)
    assert path.read_bytes() == before
    kept = f"{path} already holds these proofs and was kept."
    assert recorded.messages == [
        kept,
        f"{kept} Its metadata differ in original; pass --overwrite to replace them.",
    ]


def test_other_proofs_are_replaced_only_on_request(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"holds other proofs.*--overwrite"):
        save_output(path, OTHER, overwrite=False)
    assert path.read_bytes() == before
    save_output(path, OTHER, overwrite=True)
    assert torch.equal(load_proofs(path).vectors, OTHER.vectors)
