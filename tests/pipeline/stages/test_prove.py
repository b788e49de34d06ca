import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from palimpsest.artifacts import ArtifactsConfig, load_auditor_artifacts, load_samples
from palimpsest.artifacts.config import ProveConfig
from palimpsest.cli import main
from palimpsest.config import validate
from palimpsest.defenses import apply_defenses
from palimpsest.errors import CheckpointError, DatasetError, ResourceError
from palimpsest.gradients import gradient_differences
from palimpsest.models import read_checkpoint
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import load_proofs
from palimpsest.randomness import make_generator
from palimpsest.storage import parameters_hash


def configured(models: dict[str, Any], pieces: Path, **keys: Any) -> ProveConfig:
    return validate(ProveConfig, models | {"samples": str(pieces / "forgotten")} | keys, where="test")


def test_a_proof_is_the_gradient_difference_by_autograd(
    case: Callable[..., ArtifactsConfig], models: dict[str, Any], pieces: Path, here: Path
) -> None:
    both = load_auditor_artifacts(case(), folder=here, data_dir=None, device="cpu").models
    assert both is not None
    samples = load_samples(str(pieces / "forgotten")).samples
    rows = []
    for image, label in zip(samples.images, samples.labels, strict=True):
        pair = []
        for model in (both.original, both.unlearned):
            loss = torch.nn.functional.cross_entropy(model(image[None]), label[None])
            pair.append(
                torch.cat([grad.flatten() for grad in torch.autograd.grad(loss, list(model.parameters()))])
            )
        rows.append(pair[0] - pair[1])
    proofs = make_proofs(configured(models, pieces))
    torch.testing.assert_close(proofs.vectors, torch.stack(rows), rtol=1e-3, atol=2e-4)


def test_proofs_name_the_checkpoints_without_the_normalization(
    models: dict[str, Any], pieces: Path, here: Path
) -> None:
    plain = make_proofs(configured(models, pieces))
    scaled = make_proofs(configured(models, pieces, mean=[0.5], std=[0.25]))
    assert not torch.allclose(plain.vectors, scaled.vectors)
    assert plain.metadata == scaled.metadata
    assert plain.metadata["original"] == parameters_hash(read_checkpoint(pieces / "original.pt")[0].tensors)


def test_defenses_are_applied_and_named(models: dict[str, Any], pieces: Path, here: Path) -> None:
    config = configured(models, pieces, defenses=[{"name": "sign"}])
    defended, plain = make_proofs(config), make_proofs(configured(models, pieces))
    expected = apply_defenses(
        plain.vectors,
        [config.defenses[0].build()],
        generator=make_generator(config.seed, "defend"),
    )
    assert torch.equal(defended.vectors, expected)
    assert "sign" in defended.metadata["defenses"]


def test_class_folders_get_the_numbers_of_the_model(
    case: Callable[..., ArtifactsConfig], models: dict[str, Any], pieces: Path, here: Path
) -> None:
    shutil.copytree(pieces / "forgotten" / "class2", here / "part" / "class2")
    names = ["class0", "class1", "class2"]
    proofs = make_proofs(configured(models, pieces, samples=str(here / "part"), class_names=names))
    both = load_auditor_artifacts(case(), folder=here, data_dir=None, device="cpu").models
    assert both is not None
    # Use the same four samples in a batch, because some processors round other batch sizes differently.
    samples = load_samples(str(pieces / "forgotten")).samples
    expected = gradient_differences(both.original, both.unlearned, samples.images[8:], samples.labels[8:])
    assert torch.equal(proofs.vectors, expected)
    with pytest.raises(DatasetError, match="class2"):
        make_proofs(configured(models, pieces, samples=str(here / "part"), class_names=names[:2]))


def test_refuses_proofs_that_exceed_the_memory_budget(
    models: dict[str, Any], pieces: Path, here: Path
) -> None:
    config = configured(models, pieces).model_copy(update={"memory_budget": 100})
    with pytest.raises(ResourceError, match="Prove fewer"):
        make_proofs(config)


def test_the_command_writes_a_proof_file(
    models: dict[str, Any], pieces: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [part for name in ("original", "unlearned", "model") for part in (f"--{name}", models[name])]
    arguments = ["--model-arguments", "{width: 4, classes: 3}", "--samples", str(pieces / "forgotten")]
    with pytest.raises(SystemExit) as stop:
        main(["prove", *keys, *arguments, "--out", "made.safetensors"])
    assert not stop.value.code
    assert "12 proofs of" in capsys.readouterr().out
    assert len(load_proofs(here / "made.safetensors").vectors) == 12


def test_rejects_the_same_checkpoint_twice(models: dict[str, Any], pieces: Path, here: Path) -> None:
    keys = models | {"unlearned": models["original"], "samples": str(pieces / "forgotten")}
    with pytest.raises(CheckpointError, match="every proof would be zero"):
        make_proofs(validate(ProveConfig, keys, where="test"))
