import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.environments import Environment

from palimpsest.distribution import DISTRIBUTION

SMALL = "--attack.queries 1 --attack.epochs 2 --attack.width 16 --scoring.bootstrap 20"


def test_the_readme_commands_work(
    own_checkpoints: Path, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> None:
    _, _, doctor, attack, wrong, *_ = readme("own-checkpoints")
    fine = shell(doctor, own_checkpoints).stdout
    assert "The proofs are the true images' gradient differences" in " ".join(fine.split())
    shell(attack, own_checkpoints, extra=SMALL)
    metrics = json.loads((own_checkpoints / "run" / "metrics.json").read_text())
    assert metrics["reconstruction"]["count"] == 40
    assert (own_checkpoints / "run" / "report.html").is_file()
    result = shell(wrong, own_checkpoints, code=2)
    output = " ".join(result.stdout.split())
    assert "set --mean" in output
    assert "error truth" in output


def test_gradients_of_a_server_are_examined_and_attacked(
    own_checkpoints: Path, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> None:
    doctor, attack = (line for line in readme("own-checkpoints") if "server.yaml" in line)
    assert "Zero at the true images" in " ".join(shell(doctor, own_checkpoints).stdout.split())
    shell(attack, own_checkpoints, extra="--attack.iterations 3 --scoring.bootstrap 20")
    metrics = json.loads((own_checkpoints / "served" / "metrics.json").read_text())
    assert metrics["reconstruction"]["count"] == 40
    assert metrics["observation"]["batches"] == 10


def test_a_large_network_is_proved_and_attacked(
    own_checkpoints: Path, installed: Callable[..., Environment], readme: Callable[[str], list[str]]
) -> None:
    """Test the transformer. ResNet-18 takes minutes and is tested in `tests/pipeline/test_large_models.py`."""
    train, prove, attack = (line for line in readme("own-checkpoints") if "vit" in line)
    shell = installed(f"{DISTRIBUTION}[perceptual]").run
    shell(train, own_checkpoints)
    assert "10 proofs of 564,618 numbers" in shell(prove, own_checkpoints).stdout
    attack = attack.replace("--auxiliary-size 100", "--auxiliary-size 30")
    attack = attack.replace("--attack.epochs 5", "--attack.epochs 1")
    shell(attack, own_checkpoints, extra="--scoring.bootstrap 20")
    metrics = json.loads((own_checkpoints / "vit" / "run" / "metrics.json").read_text())
    assert metrics["reconstruction"]["count"] == 10
