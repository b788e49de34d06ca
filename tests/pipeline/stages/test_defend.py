import json
from pathlib import Path

import pytest
import torch

from palimpsest.config import build_config
from palimpsest.errors import ConfigurationError, ProofError
from palimpsest.pipeline.stages.defend import (
    defend_file,
    defend_proofs,
    defend_stage,
    defended,
    refuse_same_file,
)
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.runs import Run

TWO = [{"name": "prune", "ratio": 0.5}, {"name": "sign"}]


@pytest.fixture
def proofs() -> Proofs:
    vectors = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    return Proofs(vectors, {"loss": "cross_entropy", "defenses": '[{"name": "gaussian"}]'})


def names(proofs: Proofs) -> list[str]:
    return [defense["name"] for defense in json.loads(proofs.metadata["defenses"])]


def test_applies_defenses_in_order_and_names_them(proofs: Proofs) -> None:
    config = build_config({"data": {"name": "digits"}, "defenses": TWO})
    made = defend_proofs(proofs, config)
    assert torch.equal(made.vectors.unique(), torch.tensor([-1.0, 0.0, 1.0]))
    assert names(made) == ["prune", "sign"]
    assert made.metadata["loss"] == "cross_entropy"


def test_appends_defenses_to_those_of_the_sender(proofs: Proofs) -> None:
    assert names(defended(proofs, TWO, seed=1)) == ["gaussian", "prune", "sign"]
    assert names(proofs) == ["gaussian"]


def test_the_seed_determines_the_noise(proofs: Proofs) -> None:
    noise = [{"name": "gaussian", "sigma": 1.0}]
    first, again, other = (defended(proofs, noise, seed=seed).vectors for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("listed", "defenses", "error", "words"),
    [
        ("[]", [{"name": "sing"}], ConfigurationError, "sign"),
        ("[]", [{"name": "prune", "ratio": 2}], ConfigurationError, "ratio"),
        ("{}", TWO, ProofError, "not a JSON list"),
        ("[", TWO, ProofError, "not a JSON list"),
    ],
)
def test_rejects_invalid_defenses_and_metadata(
    listed: str, defenses: list[dict[str, object]], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        defended(Proofs(torch.ones(1, 4), {"defenses": listed}), defenses, seed=1)


def test_never_overwrites_the_input_file(proofs: Proofs, tmp_path: Path) -> None:
    path, link = tmp_path / "proofs.safetensors", tmp_path / "link.safetensors"
    save_proofs(path, proofs)
    link.symlink_to(path)
    for out in (path, link):
        with pytest.raises(ProofError, match="is the input file"):
            refuse_same_file(path, out)
    before = path.read_bytes()
    with pytest.raises(ProofError, match="is the input file"):
        defend_file(path, TWO, out=link)
    assert path.read_bytes() == before


def test_defends_a_file_with_fresh_randomness_or_a_seed(proofs: Proofs, tmp_path: Path) -> None:
    path, noise = tmp_path / "proofs.safetensors", [{"name": "gaussian", "sigma": 1.0}]
    save_proofs(path, proofs)
    made = [
        defend_file(path, noise, out=tmp_path / f"{n}.safetensors", seed=seed)
        for n, seed in enumerate((1, 1, None, None))
    ]
    assert torch.equal(made[0].vectors, made[1].vectors)
    assert not torch.equal(made[2].vectors, made[3].vectors)
    assert torch.equal(load_proofs(tmp_path / "3.safetensors").vectors, made[3].vectors)


def test_without_defenses_there_is_no_stage(proofs: Proofs, run: Run) -> None:
    plain = build_config({"data": {"name": "digits"}})
    assert defend_stage(run, proofs, plain) is proofs
    config = build_config({"data": {"name": "digits"}, "defenses": TWO})
    assert names(defend_stage(run, proofs, config)) == ["prune", "sign"]
    assert list(run.seconds()) == ["defended"]
