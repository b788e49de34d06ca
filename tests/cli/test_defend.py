import json
from pathlib import Path

import pytest
import torch
from tests.support.command_line import run

from palimpsest.proofs import Proofs, load_proofs, save_proofs

VECTORS = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def proofs(tmp_path: Path) -> Path:
    save_proofs(tmp_path / "proofs.safetensors", Proofs(VECTORS, {"loss": "cross_entropy"}))
    return tmp_path / "proofs.safetensors"


def test_applies_and_records_a_name_or_a_list(proofs: Path, capsys) -> None:
    out = proofs.with_name("defended.safetensors")
    assert run("defend", proofs, "--with", "orthogonal", "--out", out) == 0
    defended = load_proofs(out)
    assert (defended.vectors * VECTORS).sum(1).abs().max() < 1e-4
    torch.testing.assert_close(defended.vectors.norm(dim=1), VECTORS.norm(dim=1))
    assert defended.metadata["loss"] == "cross_entropy"
    assert "5 proofs of 40 numbers" in capsys.readouterr().out
    again = proofs.with_name("again.safetensors")
    assert run("defend", out, "--with", "[{name: prune, ratio: 0.5}, sign]", "--out", again) == 0
    names = [defense["name"] for defense in json.loads(load_proofs(again).metadata["defenses"])]
    assert names == ["orthogonal", "prune", "sign"]


def test_random_numbers_come_from_the_system_without_a_seed(proofs: Path) -> None:
    outs = [proofs.with_name(f"{index}.safetensors") for index in range(4)]
    for out, seed in zip(outs, ([], [], ["--seed", 5], ["--seed", 5]), strict=True):
        assert run("defend", proofs, "--with", "gaussian", "--out", out, *seed) == 0
    vectors = [load_proofs(out).vectors for out in outs]
    assert not torch.equal(vectors[0], vectors[1])
    assert torch.equal(vectors[2], vectors[3])


@pytest.mark.parametrize(
    ("defenses", "words"),
    [
        ("orthogonl", "did you mean 'orthogonal'"),
        ("[{name: prune, ratio: 2}]", "ratio"),
        ("[3]", "give a defense's name"),
        ("[", "not YAML"),
    ],
)
def test_rejects_invalid_defenses_and_writes_nothing(proofs: Path, capsys, defenses, words) -> None:
    out = proofs.with_name("defended.safetensors")
    assert run("defend", proofs, "--with", defenses, "--out", out) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_does_not_overwrite_the_proofs(proofs: Path, capsys) -> None:
    assert run("defend", proofs, "--with", "sign", "--out", proofs) == 2
    assert "another one" in capsys.readouterr().err
    assert torch.equal(load_proofs(proofs).vectors, VECTORS)
