import json
from pathlib import Path

import pytest
import torch
from tests.support.command_line import run

from palimpsest.proofs import Proofs, save_proofs


@pytest.fixture
def proofs(tmp_path: Path) -> Path:
    vectors = torch.zeros(30, 4)
    vectors[:, 0] = torch.arange(30)
    save_proofs(tmp_path / "proofs.safetensors", Proofs(vectors))
    return tmp_path / "proofs.safetensors"


def test_prints_and_writes_verdicts(proofs: Path, capsys) -> None:
    out = proofs.with_name("verdicts.json")
    assert run("verify", proofs, "--tau", 3, "--out", out) == 3
    output = capsys.readouterr().out
    assert "4 of 30 proofs accepted" in output
    assert "unattested" in output
    assert "... and 6 more." in output
    verdicts = json.loads(out.read_text())
    assert verdicts["accepted"] == [True] * 4 + [False] * 26
    assert verdicts["norms"][28:] == [28.0, 29.0]


def test_ends_with_code_0_if_all_are_accepted(proofs: Path, capsys) -> None:
    save_proofs(proofs, Proofs(torch.ones(2, 4), {"loss": "cross_entropy"}))
    assert run("verify", proofs, "--tau", 3) == 0
    assert "The sender says: loss: cross_entropy." in capsys.readouterr().out


def test_calibrates_tau_on_other_proofs(proofs: Path, capsys) -> None:
    others = proofs.with_name("others.safetensors")
    save_proofs(others, Proofs(torch.eye(4) * 5))
    assert run("verify", proofs, "--calibrate", others) == 3
    assert "6 of 30 proofs accepted (norm at most tau = 5)" in capsys.readouterr().out


@pytest.mark.parametrize("threshold", [[], ["--tau", 1, "--calibrate", "x"], ["--tau", -1]])
def test_needs_exactly_one_positive_threshold(proofs: Path, capsys, threshold: list[object]) -> None:
    assert run("verify", proofs, *threshold) == 2
    assert "tau" in capsys.readouterr().err
