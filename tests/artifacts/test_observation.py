from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.support.server_artifacts import Client
from torch import Tensor, nn

from palimpsest.artifacts.models import Models
from palimpsest.artifacts.observation import read_observation
from palimpsest.config import ObservationConfig
from palimpsest.errors import CheckpointError

SIZES = ObservationConfig(retained=3, forgotten=2)


@pytest.mark.parametrize("form", ["flat", "named", "updates"])
def test_reads_the_same_observation_from_each_form(client: Client, form: str) -> None:
    flat = client.flat
    tensors = {
        "flat": flat,
        "named": client.named,
        "updates": {name.replace("gradients", "updates"): -0.1 * value for name, value in flat.items()},
    }[form]
    observation = read_observation(client.write(tensors), SIZES, client.models).observation
    for when in ("before", "after"):
        torch.testing.assert_close(getattr(observation, f"gradients_{when}"), flat[f"gradients_{when}"])
    assert observation.batch == 5


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda flat: {key: value for key, value in flat.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("gradients_after"), "neither gradients_after nor updates_after"),
        (lambda flat: flat | {"updates_after": flat["gradients_after"]}, "both gradients_after and"),
        (
            lambda flat: flat | {"gradients_after": flat["gradients_after"][:1]},
            "2 batches before unlearning and 1",
        ),
        (lambda flat: {name: value[:, :-1] for name, value in flat.items()}, "parameters. Give one row"),
        (lambda flat: {name: value / 0 for name, value in flat.items()}, "not finite"),
        (lambda flat: {name: value.cfloat() for name, value in flat.items()}, "holds complex64"),
        (lambda flat: {name: value.bool() for name, value in flat.items()}, "holds bool"),
        (
            lambda flat: (
                flat
                | {
                    "labels_retained": torch.zeros(2, 3, dtype=torch.complex64),
                    "labels_forgotten": torch.zeros(2, 2, dtype=torch.int64),
                }
            ),
            "labels_retained is complex64",
        ),
        (
            lambda flat: flat | {"labels_forgotten": torch.zeros(2, 2, dtype=torch.int64)},
            "labels_retained is missing",
        ),
        (
            lambda flat: (
                flat
                | {
                    "labels_retained": torch.full((2, 3), 7),
                    "labels_forgotten": torch.zeros(2, 2, dtype=torch.int64),
                }
            ),
            "the model has 3 classes",
        ),
    ],
)
def test_rejects_invalid_observations(client: Client, change: Any, words: str) -> None:
    path = client.write(change(client.flat), "wrong.safetensors")
    with pytest.raises(CheckpointError, match=words):
        read_observation(path, SIZES, client.models)


def test_gradients_of_scalar_parameters_need_a_batch_dimension(tmp_path: Path) -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 3)
            self.scale = nn.Parameter(torch.tensor(2.0))

    models, sizes = Models(Scaled(), Scaled(), Scaled().to("meta"), 3), ObservationConfig(retained=1)
    named = {
        f"gradients_{when}/{name}": torch.rand(2, *parameter.shape)
        for when in ("before", "after")
        for name, parameter in models.original.named_parameters()
    }
    save_file(named, tmp_path / "a.safetensors")
    observation = read_observation(tmp_path / "a.safetensors", sizes, models).observation
    assert observation.gradients_before.shape == (2, 10)
    save_file(named | {"gradients_before/scale": torch.tensor(1.0)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match=r"gradients_before/scale has shape \[\], .* shape \[batches\]"):
        read_observation(tmp_path / "b.safetensors", sizes, models)


def test_names_a_missing_parameter(client: Client) -> None:
    named = client.named
    del named["gradients_before/0.weight"]
    with pytest.raises(CheckpointError, match=r"gradients_before/0\.weight is missing"):
        read_observation(client.write(named), SIZES, client.models)


def test_reads_labels_if_the_file_has_them(client: Client) -> None:
    assert read_observation(client.write(client.flat), SIZES, client.models).labels is None
    labels = read_observation(client.write(client.flat | client.labels), SIZES, client.models).labels
    assert labels is not None
    assert torch.equal(labels.retained, client.labels["labels_retained"])
    assert torch.equal(labels.forgotten, client.labels["labels_forgotten"])
