from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.support.artifacts import Make
from tests.support.findings import examined, sentences
from torch import nn

from palimpsest.doctor import Level
from palimpsest.doctor.checkpoints import check_layers, check_names, check_pair
from palimpsest.models import Matched, read_checkpoint


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model_arguments": {"width": 5}}, "0.weight [4, 1, 3, 3]  0.weight [5, 1, 3, 3]  another shape"),
        ({"model_arguments": {"classes": 2}}, "Set model_arguments"),
        ({"model": "torch.nn:Identity"}, "not in the network"),
    ],
)
def test_checkpoint_of_another_network_is_an_error(
    case: Make, here: Path, keys: dict[str, Any], words: str
) -> None:
    assert words in sentences(examined(case(**keys), here), Level.ERROR)


def test_reports_what_was_done_to_a_checkpoints_names() -> None:
    state = nn.Linear(2, 2).state_dict()
    (plain,) = check_names("original", Matched(state))
    (changed,) = check_names("original", Matched(state, ("removed the prefix 'module.' from 2 names",)))
    assert plain.level is changed.level is Level.OK
    assert plain.message == "2 tensors, with the names and shapes of the network."
    assert changed.message.endswith("Done: removed the prefix 'module.' from 2 names.")


def test_measures_the_change_between_the_checkpoints() -> None:
    before = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])}
    (finding,) = check_pair(before, before | {"b": torch.tensor([4.5])})
    assert finding.message.startswith("1 tensors differ; their distance is 10.00% of the parameters' norm")


def test_batch_norm_without_running_statistics_is_an_error() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), nn.Linear(4, 2))
    findings = list(check_layers(network, 4))
    assert findings[0].level is Level.ERROR
    assert "0 keep no running statistics" in findings[0].message
    # Twelve parameters: two of the norm, ten of the layer.
    assert "12 numbers, 3.0 for each of a sample's 4 values" in findings[-1].message


def test_equal_checkpoints_are_an_error(case: Make, here: Path, pieces: Path) -> None:
    config = case(unlearned=str(pieces / "original.pt"))
    assert "every proof is zero" in sentences(examined(config, here), Level.ERROR)


def test_warns_about_running_statistics_that_were_not_saved(case: Make, here: Path, pieces: Path) -> None:
    state = read_checkpoint(pieces / "original.pt")[0].tensors
    state["1.num_batches_tracked"].zero_()
    save_file(state, here / "fresh.safetensors")
    assert "have never processed a batch" in sentences(
        examined(case(original="fresh.safetensors"), here), Level.WARNING
    )
