import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
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


def test_the_metadata_say_how_the_images_were_read(command: list[Any], tmp_path: Path) -> None:
    for label in range(2):
        (tmp_path / "set" / str(label)).mkdir(parents=True)
        picture = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * (100 + label))
        picture.save(tmp_path / "set" / str(label) / "ann.png")
    (tmp_path / "set" / "0" / "ann.txt").touch()
    command[command.index("--samples") + 1] = tmp_path / "set"
    assert run(*command, "--white-level", "4095") == 0
    metadata = load_proofs(command[-1]).metadata
    assert json.loads(metadata["image_reading"]) == {
        "images": 2,
        "bit_depth": {"16": 2},
        "white_level": 4095,
        "orientation": "ignore",
        "changes": {"clipped at the white level": 2},
        "skipped": {"without an image's suffix": 1},
    }
    assert "ann" not in str(metadata)


def test_repeating_a_command_keeps_its_file(command: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*command) == 0
    written = command[-1].read_bytes()
    capsys.readouterr()
    assert run(*command) == 0
    assert "already holds these proofs and was kept" in capsys.readouterr().err
    assert command[-1].read_bytes() == written
    assert run(*command, "--defenses", "[sign]") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(*command, "--trainable", "*.bias") == 2
    assert "holds other proofs" in capsys.readouterr().err
    assert command[-1].read_bytes() == written
