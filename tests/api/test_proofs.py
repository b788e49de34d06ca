import json
from pathlib import Path
from typing import Any

import pytest
import torch

import palimpsest as pp
from palimpsest.api.proofs import prove_files, read_defenses
from palimpsest.cli import main


def test_prove_writes_the_same_file_as_the_command(lenet_case: dict[str, Any], tmp_path: Path) -> None:
    pair = lenet_case["original"], lenet_case["unlearned"]
    proofs = pp.prove(*pair, lenet_case["forgotten"], model="lenet", out=tmp_path / "a.safetensors")
    arguments = ["prove", "--original", *pair[:1], "--unlearned", *pair[1:], "--model", "lenet", "--samples"]
    with pytest.raises(SystemExit, match="0"):
        main([*map(str, arguments), str(lenet_case["forgotten"]), "--out", str(tmp_path / "b.safetensors")])
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert "8 proofs" in proofs._repr_html_()
    assert len(proofs.to_frame()) == 8
    with pytest.raises(pp.PalimpsestError, match="two modules and an ImageSet"):
        # A type checker reports it too; this is for callers without one.
        pp.prove(torch.nn.Linear(1, 1), *pair[1:], lenet_case["forgotten"])  # type: ignore[call-overload]
    with pytest.raises(pp.PalimpsestError, match="imagesize"):
        pp.prove(*pair, lenet_case["forgotten"], model="lenet", imagesize=8)


def test_defends_and_verifies_in_memory_and_as_files(tmp_path: Path) -> None:
    vectors = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
    proofs, path = pp.Proofs(vectors, {"loss": "cross_entropy"}), tmp_path / "proofs.safetensors"
    pp.save_proofs(path, proofs)

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    signed = pp.defend(vectors, "sign", generator=generator())
    assert isinstance(signed, torch.Tensor)
    defended = pp.defend(path, "prune", ratio=0.5, generator=generator(), out=tmp_path / "d.safetensors")
    again = pp.defend(proofs, [{"name": "prune", "ratio": 0.5}], generator=generator())
    assert torch.equal(defended.vectors, again.vectors)
    assert json.loads(defended.metadata["defenses"])[0]["ratio"] == 0.5
    assert torch.equal(pp.load_proofs(tmp_path / "d.safetensors").vectors, defended.vectors)
    assert not torch.equal(pp.defend(proofs, "gaussian").vectors, pp.defend(proofs, "gaussian").vectors)
    with pytest.raises(pp.PalimpsestError, match="is the input file"):
        pp.defend(path, "sign", out=path)
    with pytest.raises(pp.PalimpsestError, match="can't be combined with a list of defenses"):
        pp.defend(proofs, [{"name": "sign"}], ratio=0.5)
    with pytest.raises(pp.PalimpsestError, match="not a JSON list"):
        pp.defend(pp.Proofs(vectors, {"defenses": "<b>"}), "sign")

    tau = float(vectors.norm(dim=1).median())
    verdicts = pp.verify(path, tau=tau)
    calibrated = pp.verify(path, calibrate=proofs, quantile=0.5)
    assert calibrated.accepted.sum() == 3
    assert calibrated.tau == pytest.approx(tau)
    for threshold in ({}, {"tau": tau, "calibrate": path}):
        with pytest.raises(pp.PalimpsestError, match="either tau or other proofs to calibrate it, not both"):
            pp.verify(path, **threshold)
    first, second = (pp.defend(proofs, "gaussian", seed=5).vectors for _ in range(2))
    assert torch.equal(first, second)
    with pytest.raises(pp.PalimpsestError, match="Both generator and seed are given"):
        pp.defend(proofs, "gaussian", seed=5, generator=generator())
    assert torch.equal(verdicts.accepted, pp.verify(vectors, tau=tau).accepted)
    assert verdicts.to_frame()["accepted"].sum() == 3
    assert "3 of 5 proofs accepted" in verdicts._repr_html_()
    assert verdicts._repr_html_().count("<tr>") == 3


def test_names_a_missing_key(lenet_case: dict[str, Any]) -> None:
    keys = {
        "original": str(lenet_case["original"]),
        "model": "lenet",
        "samples": str(lenet_case["forgotten"]),
    }
    with pytest.raises(pp.PalimpsestError, match="unlearned"):
        prove_files(keys)


@pytest.mark.parametrize(
    ("text", "defenses"),
    [
        ("sign", [{"name": "sign"}]),
        ("[{name: prune, ratio: 0.9}, sign]", [{"name": "prune", "ratio": 0.9}, {"name": "sign"}]),
    ],
)
def test_reads_defenses_from_a_command_line(text: str, defenses: list[dict[str, Any]]) -> None:
    assert read_defenses(text) == defenses


@pytest.mark.parametrize(("text", "words"), [("[", "is not YAML"), ("[3]", "give a defense's name")])
def test_rejects_text_that_names_no_defenses(text: str, words: str) -> None:
    with pytest.raises(pp.PalimpsestError, match=words):
        read_defenses(text)
