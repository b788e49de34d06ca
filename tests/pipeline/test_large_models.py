"""Large networks, from the command line and within the memory budget."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from palimpsest.cli import main
from palimpsest.system.import_by_name import load_reference

SIZE = 64
NETWORKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "resnet18": ("torchvision.models:resnet18", {"num_classes": 3}, 11_178_051),
    "vit": (
        "torchvision.models:VisionTransformer",
        {
            "image_size": SIZE,
            "patch_size": 16,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 32,
            "mlp_dim": 64,
            "num_classes": 3,
        },
        42_435,
    ),
}


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert not stop.value.code


def write_artifacts(name: str, arguments: dict[str, Any]) -> None:
    factory = load_reference(name, what="model")
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = factory(**arguments)
    if hasattr(model, "heads"):
        # torchvision initializes this layer with zeros, which would stop all gradients to earlier layers.
        torch.nn.init.normal_(model.heads.head.weight, std=0.1, generator=generator)
    torch.save(model.state_dict(), "original.pt")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=generator) * parameter.std(correction=0), alpha=0.05
            )
    torch.save(model.state_dict(), "unlearned.pt")
    random = np.random.default_rng(0)
    for folder, count in (("images", 3), ("forgotten", 1)):
        for label in "abc":
            Path(folder, label).mkdir(parents=True)
            for row in range(count):
                pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(Path(folder, label, f"{row}.png"))


@pytest.mark.parametrize("network", NETWORKS)
def test_proves_and_attacks_from_the_command_line(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name, arguments, dimension = NETWORKS[network]
    write_artifacts(name, arguments)
    models = ["--original", "original.pt", "--unlearned", "unlearned.pt", "--model", name]
    models += ["--model-arguments", json.dumps(arguments), "--memory-budget", "1GiB", "--device", "cpu"]
    run("prove", *models, "--samples", "forgotten")
    small = "--attack.name igf --attack.beta 0 --attack.epochs 1 --attack.width 32 --attack.components 2"
    small += " --attack.batch-size 4"
    common = ["--proofs", "proofs.safetensors", "--auxiliary", "images", "--truth", "forgotten"]
    run(
        "attack",
        *models,
        *common,
        *small.split(),
        "--verification.tau",
        "9",
        "--scoring.bootstrap",
        "10",
        "--out",
        "run",
        "--quiet",
    )
    metrics = json.loads(Path("run", "metrics.json").read_text())
    assert metrics["proofs"] == {"count": 3, "dimension": dimension, "attested": True}
    assert metrics["reconstruction"]["count"] == 3
    # The process also holds torch, three copies of the network, and pages of the file of answers.
    manifest = json.loads(Path("run", "manifest.json").read_text())
    answers = 4 * dimension * 9
    peaks = [stage["peak_memory_mib"] * 2**20 for stage in manifest["stages"].values()]
    assert max(peaks) < 1.5 * 2**30 + 12 * dimension + 1.2 * answers
