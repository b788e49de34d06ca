"""Ten audits with the default attack, beside the single attacks; cases without a leak must not be called leaks.

    python -m benchmarks.default_attack --data-dir data --out runs/default-attack [--cases own-cnn,vgg] [--count 100]

Each case trains a small network twice, with and without the forgotten images, and attacks the proofs with the defaults
alone. The default fails a case if a single attack identifies ten times chance and the default less than 80 % of it or
calls it no leak, or if it calls a case without a leak a leak. Single attacks are therefore run only where the default
identifies less than 80 % of the images of honest proofs. The command resumes: finished trainings and attacks are kept.
It prints one line for each case and writes `default-attack.json`.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import palimpsest as pp
from benchmarks.own_networks import NETWORKS
from palimpsest.datasets import ImageSet
from palimpsest.datasets.catalog import find_source
from palimpsest.proofs import Proofs, save_proofs
from palimpsest.randomness import make_generator

SINGLE = ("igf-plus", "igf-white", "igf", "lti")
_TRAINED, _AUXILIARY, _EPOCHS = 1500, 1000, 8
_ENOUGH, _LEAK = 0.8, 10


@dataclass(frozen=True)
class Case:
    """One audit.

    Args:
        network: A name in `NETWORKS`.
        data: A published data set.
        proofs: `honest` gradient differences, the same with `orthogonal` obfuscation, or `random` vectors of their
            lengths in another order.
    """

    network: str
    data: str
    proofs: str = "honest"


CASES = {
    "own-cnn": Case("own_cnn", "fashion_mnist"),
    "lenet-relu": Case("lenet_relu", "digits"),
    "lenet-faces": Case("lenet_relu", "lfw"),
    "resnet20": Case("resnet20", "cifar10"),
    "vgg": Case("vgg", "cifar100"),
    "vit": Case("vit", "cifar10"),
    "own-cnn-mnist": Case("own_cnn", "mnist"),
    "vgg-cifar10": Case("vgg", "cifar10"),
    "orthogonal": Case("own_cnn", "fashion_mnist", "orthogonal"),
    "random": Case("own_cnn", "fashion_mnist", "random"),
}


def main() -> None:
    """Run the cases that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/default-attack"))
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--count", type=int, default=100, help="number of forgotten images")
    parser.add_argument("--single", default=",".join(SINGLE), help="attacks to compare with")
    given = parser.parse_args()
    rows = {}
    for name in given.cases.split(","):
        folder = given.out / name
        keys = prepare(CASES[name], folder, count=given.count, data_dir=given.data_dir)
        rows[name] = compare(CASES[name], folder, keys, given.single.split(","))
        rows[name]["passed"] = passed(CASES[name], rows[name], chance=1 / given.count)
        print(name, json.dumps(rows[name]), flush=True)
        (given.out / "default-attack.json").write_text(json.dumps(rows, indent=2) + "\n")


def prepare(case: Case, folder: Path, *, count: int, data_dir: Path | None) -> dict[str, Any]:
    """Train both models, and write the artifacts of the attack, unless the folder has them.

    Args:
        case: The case.
        folder: The folder of the artifacts.
        count: Number of forgotten images.
        data_dir: A folder that mirrors the published data sets.

    Returns:
        The keys of the attack's configuration.
    """
    keys: dict[str, Any] = {
        "original": str(folder / "original.safetensors"),
        "unlearned": str(folder / "unlearned.safetensors"),
        "model": f"benchmarks.own_networks:{case.network}",
        "proofs": str(folder / "proofs.safetensors"),
        "auxiliary": str(folder / "auxiliary"),
        "truth": str(folder / "forgotten"),
        "defenses": ["orthogonal"] if case.proofs == "orthogonal" else [],
    }
    source = find_source(case.data, data_dir=data_dir)
    test = source.read("test")
    keys["model_arguments"] = {"channels": test.shape[0], "size": test.shape[1], "classes": test.classes}
    if (folder / "proofs.safetensors").is_file():
        return keys
    generator = make_generator(1, "default attack", case.data)
    train = source.read("train")
    train = train.subset(torch.randperm(len(train), generator=generator)[:_TRAINED])
    auxiliary = test.subset(torch.randperm(len(test), generator=generator)[:_AUXILIARY])
    build = NETWORKS[case.network]
    original = fit(lambda: build(**keys["model_arguments"]), train)
    unlearned = fit(lambda: build(**keys["model_arguments"]), train.subset(torch.arange(count, len(train))))
    forgotten = train.subset(torch.arange(count))
    write_images(folder / "auxiliary", auxiliary)
    write_images(folder / "forgotten", forgotten)
    save_file(original.state_dict(), keys["original"])
    save_file(unlearned.state_dict(), keys["unlearned"])
    vectors = pp.gradient_differences(original, unlearned, forgotten.images, forgotten.labels)
    if case.proofs == "orthogonal":
        vectors = pp.defend(vectors, "orthogonal", generator=generator)
    if case.proofs == "random":
        drawn = torch.randn(vectors.shape, generator=generator)
        # In their own order, the lengths alone would reveal something of the images.
        order = torch.randperm(len(vectors), generator=generator)
        vectors = F.normalize(drawn) * vectors.norm(dim=1, keepdim=True)[order]
    # The proofs come last, because they mark the folder as complete.
    save_proofs(Path(keys["proofs"]), Proofs(vectors))
    return keys


def compare(case: Case, folder: Path, keys: dict[str, Any], single: list[str]) -> dict[str, Any]:
    """Attack with the defaults, and with each single attack where one could be so much better that the case fails.

    Args:
        case: The case.
        folder: The folder of the runs.
        keys: The keys of the attack's configuration.
        single: Names of the single attacks.

    Returns:
        The verdict, and the identification rate and the seconds of each attack.
    """
    default = pp.attack(out=folder / "default", **keys, quiet=True).metrics
    assert default.verdict is not None
    row: dict[str, Any] = {"verdict": default.verdict.grade.value, "reasons": default.verdict.reasons}
    row["control"] = default.positive_control and default.positive_control.passed
    row["identified"] = {"default": _identified(default)}
    row["seconds"] = {"default": sum(default.seconds.values())}
    row["portfolio"] = {member.settings or member.attack: member.identified for member in default.portfolio}
    if case.proofs != "honest" or row["identified"]["default"] >= _ENOUGH:
        return row
    for name in single:
        settings = {"name": name} | ({"beta": 0} if name in ("igf", "lti") else {})
        metrics = pp.attack(out=folder / name, **keys, attack=settings, quiet=True).metrics
        row["identified"][name] = _identified(metrics)
        row["seconds"][name] = sum(metrics.seconds.values())
    return row


def passed(case: Case, row: dict[str, Any], *, chance: float) -> bool:
    """Return whether the default attack is good enough.

    Args:
        case: The case.
        row: The result of `compare`.
        chance: Expected identification rate of a random guess.
    """
    if case.proofs != "honest":
        if row["verdict"] == "leaks to candidate holders":
            # Obfuscated proofs can still be linked to candidates, but random ones can't.
            return case.proofs == "orthogonal"
        return row["verdict"] == "inconclusive" or (
            row["verdict"] == "no leak found" and bool(row["control"])
        )
    best = max(row["identified"].values())
    if best < _LEAK * chance:
        return True
    return row["verdict"] == "leaks" and row["identified"]["default"] >= _ENOUGH * best


def fit(build: Callable[[], nn.Module], images: ImageSet) -> nn.Module:
    """Train with fixed initial parameters and a fixed order of samples."""
    torch.manual_seed(1)
    model = build().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(images.images[rows]), images.labels[rows]).backward()
            optimizer.step()
    return model.eval()


def write_images(folder: Path, images: ImageSet) -> None:
    """Write images as PNG files, with a table of their names and labels in the same order."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file_name,label"]
    for row, (image, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True)):
        Image.fromarray(_pixels(image)).save(folder / f"{row:05}.png")
        lines.append(f"{row:05}.png,{label}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def _pixels(image: Tensor) -> np.ndarray:
    levels = (image * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    return levels[:, :, 0] if levels.shape[2] == 1 else levels


def _identified(metrics: Any) -> float:
    return metrics.reconstruction.identification_top1


if __name__ == "__main__":
    main()
