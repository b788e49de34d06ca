import stat
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import json_lines, outcome, run

from palimpsest.proofs import load_proofs


@pytest.fixture
def command(lenet_case: dict[str, Any], tmp_path: Path) -> list[object]:
    """The command for two checkpoints of a LeNet; its last word is the proof file."""
    artifacts = [
        "--original",
        lenet_case["original"],
        "--unlearned",
        lenet_case["unlearned"],
        "--model",
        "lenet",
    ]
    return ["prove", *artifacts, "--samples", lenet_case["forgotten"], "--out", tmp_path / "own.safetensors"]


def test_writes_proofs_readable_only_by_their_owner(
    command: list[Any], lenet_proofs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, error = outcome(capsys, *command)
    assert (code, error) == (0, "")
    assert f"8 proofs of {load_proofs(lenet_proofs).vectors.shape[1]:,} numbers" in " ".join(output.split())
    assert command[-1].read_bytes() == lenet_proofs.read_bytes()
    assert stat.S_IMODE(command[-1].stat().st_mode) == 0o600


def test_json_contains_the_range_of_the_norms(command: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--json") == 0
    *_, result = json_lines(capsys)
    norms = load_proofs(command[-1]).vectors.norm(dim=1)
    assert result["count"] == 8
    assert result["norms"] == pytest.approx([float(norms.min()), float(norms.max())])


def test_takes_defenses_as_yaml(command: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command, "--quiet", "--defenses", "[{name: sign}]") == 0
    assert capsys.readouterr().out == ""
    assert '"sign"' in load_proofs(command[-1]).metadata["defenses"]


def test_rejects_a_missing_checkpoint_and_writes_nothing(
    command: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command[command.index("--original") + 1] = tmp_path / "missing.safetensors"
    code, _, error = outcome(capsys, *command)
    assert code == 2
    assert "missing.safetensors" in error
    assert not command[-1].exists()
