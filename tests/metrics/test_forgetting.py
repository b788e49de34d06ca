from pathlib import Path

import pytest
from tests.support.pages import FORGETTING

from palimpsest.metrics import Behavior, Distance, Forgetting, Membership, Metrics


@pytest.fixture
def forgetting() -> Forgetting:
    trained = Behavior(0.8, 0.7, Membership(0.6, 0.1), retained=0.9)
    return Forgetting(trained, trained, 30, trained, Distance(1.5, None, 0.25, 0.75))


def test_a_missing_relative_distance_survives_storage(forgetting: Forgetting, tmp_path: Path) -> None:
    forgetting.save(tmp_path / "forgetting.safetensors")
    loaded = Forgetting.load(tmp_path / "forgetting.safetensors")
    assert loaded == forgetting
    assert loaded.distance.relative is None


def test_metrics_store_plain_values(forgetting: Forgetting) -> None:
    metrics = Metrics(attack={}, seconds={}, forgetting=forgetting)
    tree = metrics.tree()["forgetting"]
    assert tree["unlearned"]["membership"] == {"auc": 0.6, "tpr": 0.1}
    assert "relative" not in tree["distance"]
    read = Metrics.model_validate({"attack": {}, "seconds": {}, "forgetting": FORGETTING}).forgetting
    assert read is not None
    assert read.original == Behavior(0.992, 0.968, Membership(0.612, 0.041), retained=0.991)


def test_metrics_of_a_users_checkpoints_can_be_read_back(tmp_path: Path) -> None:
    behavior = Behavior(0.8, 0.7, Membership(0.6, 0.1))
    metrics = Metrics(attack={}, seconds={}, forgetting=Forgetting(behavior, behavior, 30))
    metrics.save(tmp_path / "metrics.json")
    assert Metrics.load(tmp_path / "metrics.json") == metrics
