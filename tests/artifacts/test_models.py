from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import Make, load

from palimpsest.artifacts.models import Models, load_models
from palimpsest.errors import CheckpointError, ConfigurationError, PalimpsestError


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"model": "own_nets:Nit"}, ConfigurationError, "can't be imported"),
        ({"model": "own_nets:not_a_module"}, PalimpsestError, "int, not an nn.Module"),
        ({"model": "own_nets:broken"}, ConfigurationError, "ZeroDivisionError: by zero"),
        ({"model": "Net"}, ConfigurationError, "module:name"),
        ({"model_arguments": {"width": 5}}, CheckpointError, "0.weight"),
        ({"model_arguments": {"depth": 5}}, ConfigurationError, "model_arguments"),
        ({"mean": [0.5]}, ConfigurationError, "belong together"),
    ],
)
def test_rejects_invalid_models(
    case: Make, here: Path, keys: dict[str, Any], error: type[PalimpsestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        load(case(**keys), here)


def load_both(case: Make, here: Path, **keys: Any) -> Models:
    models = load(case(**keys), here).models
    assert models is not None
    return models


def test_models_are_in_evaluation_mode_and_the_architecture_on_meta(case: Make, here: Path) -> None:
    models = load_both(case, here)
    assert not models.original.training
    assert not models.unlearned.training
    assert models.classes == 3
    assert all(parameter.is_meta for parameter in models.architecture.parameters())
    assert not torch.equal(models.original[0].weight, models.unlearned[0].weight)  # type: ignore[index]


def test_fingerprint_depends_on_both_checkpoints_and_the_layers(case: Make, here: Path, pieces: Path) -> None:
    models = load_both(case, here)
    assert models.fingerprint == load_both(case, here).fingerprint
    others = ({"unlearned": str(pieces / "original.pt")}, {"mean": [0.5], "std": [0.25]})
    assert len({models.fingerprint, *(load_both(case, here, **keys).fingerprint for keys in others)}) == 3


def test_frozen_parameters_are_reported_and_set_by_patterns(case: Make, here: Path) -> None:
    assert load_both(case, here).notes == ()
    models = load_both(case, here, trainable=["*.bias"])
    names = [name for name, parameter in models.original.named_parameters() if parameter.requires_grad]
    assert names
    assert all(name.endswith("bias") for name in names)
    assert models.original.training is False
    assert "the others are frozen" in models.notes[0]


def test_a_single_logit_is_reported(here: Path) -> None:
    (here / "single.py").write_text(
        "from torch import nn\ndef Net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(4, 1))\n"
    )
    checkpoints = [here / f"{seed}.pt" for seed in (1, 2)]
    for seed, path in enumerate(checkpoints):
        torch.manual_seed(seed)
        torch.save({"1.weight": torch.randn(1, 4), "1.bias": torch.randn(1)}, path)
    models = load_models(
        "single:Net",
        {},
        original=checkpoints[0],
        unlearned=checkpoints[1],
        samples=torch.rand(2, 1, 2, 2),
        classes=2,
    )
    assert models.notes == (
        "The network returns a single logit: its loss is the binary cross-entropy of the labels 0 and 1.",
    )
