from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.support.artifacts import Make
from tests.support.findings import examined, sentences

from palimpsest.artifacts.config import ProveConfig
from palimpsest.cli import main
from palimpsest.config import validate
from palimpsest.doctor import Level
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, load_proofs, save_proofs


def test_consistent_artifacts_have_no_error(case: Make, here: Path, pieces: Path) -> None:
    findings = examined(case(truth=str(pieces / "forgotten")), here)
    assert sentences(findings, Level.ERROR) == ""
    messages = sentences(findings, Level.OK)
    for words in (
        "The proofs are the true images' gradient differences",
        "have an MSE of at most 0",
        "with the names and shapes of the network",
        "They name the original checkpoint",
        "running statistics",
        "dropout layers, which are off",
        "A proof has one number for each",
        "queries at most 96 samples",
        "within the memory budget",
    ):
        assert words in messages
    assert list(here.glob("oracle*")) == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"proofs": "nowhere.safetensors"}, "There is no proof file"),
        ({"auxiliary": "nowhere/"}, "nowhere"),
        ({"attack": {"name": "dragd"}}, "attack from the server"),
        ({"oracle": {"source": "own_nets:not_a_module"}}, "not_a_module"),
    ],
)
def test_each_invalid_artifact_is_an_error(
    case: Make, here: Path, pieces: Path, keys: dict[str, Any], words: str
) -> None:
    assert words in sentences(examined(case(**keys), here), Level.ERROR)


def test_one_error_does_not_hide_another(case: Make, here: Path) -> None:
    errors = sentences(examined(case(proofs="nowhere", original="nowhere"), here), Level.ERROR)
    assert "proof file" in errors
    assert "checkpoint" in errors


def test_converts_gray_images_for_a_color_model_if_configured(case: Make, here: Path, pieces: Path) -> None:
    (here / "own_nets.py").write_text(
        "from torch import nn\ndef color(): return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))\n"
    )
    state = {"1.weight": torch.randn(3, 192), "1.bias": torch.zeros(3)}
    save_file(state, here / "a.safetensors")
    save_file({name: value + 0.1 for name, value in state.items()}, here / "b.safetensors")
    keys = {"original": "a.safetensors", "unlearned": "b.safetensors", "model": "own_nets:color"}
    proving = keys | {"samples": str(pieces / "forgotten"), "channels": 3}
    save_proofs("color.safetensors", make_proofs(validate(ProveConfig, proving, where="test")))
    artifacts = keys | {"proofs": "color.safetensors", "truth": str(pieces / "forgotten")}
    refused = sentences(examined(case(**artifacts), here), Level.ERROR)
    assert "Sequential can't take images of shape (1, 8, 8)" in refused
    assert "Set image_size or channels" in refused
    findings = examined(case(**artifacts, channels=3), here)
    assert sentences(findings, Level.ERROR) == ""
    assert "The proofs are the true images' gradient differences" in sentences(findings, Level.OK)


def test_warns_about_a_missing_truth(case: Make, here: Path) -> None:
    assert "Nothing is scored" in sentences(examined(case(), here), Level.WARNING)


def test_command_ends_with_code_2_if_there_is_an_error(
    proofs: Path, pieces: Path, models: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [part for name in ("original", "unlearned", "model") for part in (f"--{name}", models[name])]
    common = ["doctor", *keys, "--auxiliary", str(pieces / "images"), "--attack.name", "igf"]
    common += ["--attack.beta", "0"]
    with pytest.raises(SystemExit) as stop:
        main([*common, "--proofs", str(proofs)])
    assert not stop.value.code
    assert "ok" in capsys.readouterr().out
    save_proofs(Path("short.safetensors"), Proofs(load_proofs(proofs).vectors[:, :-3]))
    with pytest.raises(SystemExit) as stop:
        main([*common, "--proofs", "short.safetensors"])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert "5.bias" in captured.out
    assert "1 error" in captured.out.lower()
