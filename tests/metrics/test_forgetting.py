from pathlib import Path

import pytest
from tests.support.pages import FORGETTING

from palimpsest.metrics import Behavior, Distance, Forgetting, Membership, Metrics


@pytest.fixture
def forgetting() -> Forgetting:
    trained = Behavior(0.9, 0.8, 0.7, Membership(0.6, 0.1))
    return Forgetting(trained, trained, trained, Distance(1.5, None, 0.25, 0.75), others=30)


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
    assert read.original == Behavior(0.991, 0.992, 0.968, Membership(0.612, 0.041))
