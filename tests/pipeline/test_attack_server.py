"""Attacks from the server on gradients that a user supplies."""

import json
from pathlib import Path

import pytest
import torch
from tests.support.artifacts import Make
from tests.support.server_artifacts import QUICK, Client, write_table

from palimpsest.attacks import BatchReconstruction
from palimpsest.errors import DivergenceError, KnowledgeError
from palimpsest.pipeline.attack import attack
from palimpsest.registry import ATTACKS


def test_without_the_truth_nothing_is_scored(served: Make, here: Path) -> None:
    result = attack(served(), out=here / "run")
    found = BatchReconstruction.load(here / "run" / "reconstructions.safetensors")
    assert found.images.shape == (4, 1, 8, 8)
    assert found.retained.shape == (6, 1, 8, 8)
    assert result.metrics.observation is not None
    assert result.metrics.observation.model_dump() == {
        "batches": 2,
        "retained": 3,
        "forgotten": 2,
        "dimension": found_dimension(here),
    }
    assert result.metrics.reconstruction is None
    page = (here / "run" / "report.html").read_text()
    assert "4 forgotten samples were reconstructed from gradients" in page
    assert "Verification of the proofs" not in page
    assert 'alt="Reconstruction of sample 3"' in page


def found_dimension(here: Path) -> int:
    return json.loads((here / "run" / "metrics.json").read_text())["observation"]["dimension"]


def test_with_the_truth_it_is_scored(served: Make, client: Client, here: Path) -> None:
    truth = {"truth": write_table(client, "forgotten"), "retained_truth": write_table(client, "retained")}
    result = attack(served(attack={"name": "dragdp", "iterations": 3}, **truth), out=here / "run")
    assert result.metrics.reconstruction.count == 4
    assert result.metrics.retained.count == 6
    assert result.metrics.prior.count == 4
    assert result.metrics.label_accuracy == 1
    rate = result.metrics.rates["label_accuracy"]
    assert rate.low < rate.value == 1 == rate.high
    assert rate.chance is not None
    assert 0 < rate.chance < 1
    # Pairs that were chosen by similarity can't be tested.
    assert result.metrics.permutation_test is None
    page = (here / "run" / "report.html").read_text()
    assert "paired with its originals" in page
    assert "Verification of the proofs" not in page
    assert len(result.per_image()) == 4


def test_the_noise_of_supplied_gradients_is_known_to_the_attack(
    served: Make, client: Client, here: Path
) -> None:
    keys = {"truth": write_table(client, "forgotten"), "defenses": [{"name": "gaussian", "sigma": 0.01}]}
    quick = {"name": "dragdp", "iterations": 2, "control_size": 0}
    known = attack(served(attack=quick, **keys), out=here / "known")
    ignored = attack(served(attack=quick | {"noise": "ignored"}, **keys), out=here / "ignored")
    assert known.metrics.attack["noise_map"] == ignored.metrics.attack["noise_ignored"] == 1
    assert "noise scale that the clients" in (here / "known" / "report.html").read_text()
    assert known.metrics.undefended_baseline is None


def test_missing_labels_can_be_inferred(served: Make, client: Client, here: Path) -> None:
    path = client.write(client.flat, "bare.safetensors")
    with pytest.raises(KnowledgeError, match="labels inferred"):
        attack(served(path=path), out=here / "known")
    inferred = served(path=path, attack=QUICK | {"labels": "inferred"})
    assert attack(inferred, out=here / "inferred").metrics.attack["labels_inferred"] == 1


def test_reports_gradients_that_can_not_be_matched(served: Make, client: Client, here: Path) -> None:
    for value, optimizer in ((3e38, "lbfgs"), (3e38, "adam"), (0.0, "lbfgs")):
        flat = {name: torch.full_like(gradients, value) for name, gradients in client.flat.items()}
        path = client.write(flat | client.labels, f"{value}.safetensors")
        config = served(path=path, attack=QUICK | {"precision": "float32", "optimizer": optimizer})
        folder = here / f"{value}-{optimizer}"
        with pytest.raises(DivergenceError, match=r"zero or too large for attack\.precision"):
            attack(config, out=folder)
        assert not (folder / "report.html").exists()


@pytest.mark.parametrize("name", [name for name, kind in ATTACKS if hasattr(kind, "check_objective")])
def test_every_server_attack_runs_on_supplied_gradients(served: Make, here: Path, name: str) -> None:
    config = served(attack={"name": name, "iterations": 2})
    assert attack(config, out=here / name).metrics.attack
