from pathlib import Path

import pytest
import torch
from tests.support.artifacts import NO_MODELS, Make
from tests.support.server_artifacts import Client, write_table

from palimpsest.artifacts.images import LoadedSamples
from palimpsest.artifacts.server import ServerArtifacts, images_of, load_server_artifacts
from palimpsest.attacks import GaussianMechanism, ServerAttack
from palimpsest.datasets import RowSet
from palimpsest.errors import ConfigurationError, DatasetError, KnowledgeError


def load_server(served: Make, **keys: object) -> ServerArtifacts:
    return load_server_artifacts(served(**keys), data_dir=None, device="cpu")


def test_loads_all_artifacts(served: Make, client: Client) -> None:
    held = load_server(
        served, truth=write_table(client, "forgotten"), retained_truth=write_table(client, "retained")
    )
    assert held.observed.observation.gradients_before.shape[0] == 2
    assert (len(held.public), held.class_names) == (48, ("class0", "class1", "class2"))
    assert held.forgotten is not None
    assert held.retained is not None
    assert torch.equal(held.forgotten.images, client.leave.images)
    assert torch.equal(held.retained.images, client.stay.images)


def test_gives_labels_only_to_attacks_that_declare_them(served: Make) -> None:
    for labels, given in (("known", True), ("inferred", False)):
        config = served(attack={"name": "dragd", "labels": labels})
        attack = config.attack.build()
        assert isinstance(attack, ServerAttack)
        view = load_server_artifacts(config, data_dir=None, device="cpu").view(
            attack, device="cpu", memory_budget=2**20
        )
        assert (view.labels is not None) is given
        assert all(parameter.is_meta for parameter in view.architecture.parameters())


def test_gives_the_noise_only_to_attacks_that_declare_it(served: Make) -> None:
    for noise, given in (("map", True), ("discrepancy", True), ("ignored", False)):
        config = served(
            attack={"name": "dragd", "noise": noise}, defenses=[{"name": "gaussian", "sigma": 0.3}]
        )
        attack = config.attack.build()
        assert isinstance(attack, ServerAttack)
        held = load_server_artifacts(config, data_dir=None, device="cpu")
        view = held.view(attack, device="cpu", memory_budget=2**20)
        assert view.mechanism == (GaussianMechanism(0.3) if given else None)


def test_needs_models(served: Make) -> None:
    with pytest.raises(ConfigurationError, match="The models are missing"):
        load_server(served, **NO_MODELS)


def test_rejects_a_truth_of_another_length(served: Make, pieces: Path) -> None:
    with pytest.raises(DatasetError, match="Give 2 images for each batch"):
        load_server(served, truth=str(pieces / "forgotten"))


def test_rejects_samples_that_are_not_images() -> None:
    rows = RowSet("table", torch.rand(4, 2), torch.zeros(4, dtype=torch.int64), 1, ("a", "b"))
    with pytest.raises(KnowledgeError, match="table holds rows of a table"):
        images_of(LoadedSamples(rows))
