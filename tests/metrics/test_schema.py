import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import make_metrics, metrics_tree

from palimpsest.errors import RunError
from palimpsest.metrics import Metrics, Reading, share

TREE = metrics_tree(mse=0.02, top1=0.5, count=100)


def changed(**parts: Any) -> Metrics:
    return Metrics.model_validate(TREE | parts)


def test_metrics_survive_storage(tmp_path: Path) -> None:
    metrics = changed(excluded_replies={3: {"not finite": 2}}, parameter_distance=0.25, label_accuracy=1.0)
    path = tmp_path / "metrics.json"
    metrics.save(path)
    assert Metrics.load(path) == metrics
    assert json.loads(path.read_text())["excluded_replies"] == {"3": {"not finite": 2}}


def test_a_rate_without_a_chance_level_survives_storage(tmp_path: Path) -> None:
    metrics = changed(rates={"agreement": share(0.9, 10), "accepted": share(1.0, 20, chance=0.99)})
    path = tmp_path / "metrics.json"
    metrics.save(path)
    assert "chance" not in json.loads(path.read_text())["rates"]["agreement"]
    assert Metrics.load(path) == metrics


def test_sections_that_were_not_measured_are_absent() -> None:
    tree = Metrics(attack={}, seconds={}).tree()
    assert "soundness" not in tree
    assert "reconstruction" not in tree
    assert "parameter_distance" not in tree


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_left_out(number: float, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    Metrics(attack={"bad": number, "good": 1.0}, seconds={}).save(path)
    assert json.loads(path.read_text())["attack"] == {"good": 1.0}


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"attack": {}}', '{"attack": {}, "seconds": {}, "strange": 1}']
)
def test_rejects_a_damaged_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(RunError, match="damaged or of another version"):
        Metrics.load(path)


def test_a_score_comes_with_its_interval_and_chance() -> None:
    metrics = make_metrics(mse=0.02, top1=0.5, count=100)
    assert metrics.score("mse") == Reading(0.02, (0.02 * 0.95, 0.02 * 1.05), None)
    assert metrics.score("identification_top1") == Reading(0.5, None, 0.01)
    assert metrics.score("mae") is None
    assert metrics.score("no such metric") is None
    # An attribute of the model is not a score.
    assert metrics.score("score") is None
    assert Metrics(attack={}, seconds={}).score("mse") is None


def test_score_of_another_attacker() -> None:
    other = {"reconstruction": TREE["reconstruction"] | {"mse": 0.07}, "intervals": {"mse": (0.06, 0.08)}}
    metrics = changed(attackers={"undefended": other})
    assert metrics.score("mse", "undefended") == Reading(0.07, (0.06, 0.08), None)
    assert metrics.score("mse", "non-adaptive") is None
    main = metrics.score("mse")
    assert main is not None
    assert main.value == 0.02


def test_a_plugin_metric_is_a_score_like_any_other() -> None:
    metrics = changed(reconstruction=TREE["reconstruction"] | {"edges": 0.25})
    assert metrics.score("edges") == Reading(0.25)
    assert metrics.reconstruction is not None
    assert metrics.reconstruction.names()[-1] == "edges"
    assert "count" not in metrics.reconstruction.names()


def test_a_rate_is_a_reading() -> None:
    rate = {"value": 0.9, "low": 0.8, "high": 0.95, "chance": 0.1, "count": 100}
    assert changed(rates={"accepted": rate}).rate("accepted") == Reading(0.9, (0.8, 0.95), 0.1)
    assert changed().rate("accepted") is None


def test_scalars_are_all_numbers_except_durations() -> None:
    scalars = changed(attack={"queries": 800.0}, seconds={"inverter": 3.0}).scalars()
    assert scalars["attack/queries"] == 800
    assert scalars["baselines/mean_image/mse"] == 0.08
    assert (scalars["intervals/psnr/low"], scalars["intervals/psnr/high"]) == (17, 18)
    assert not [name for name in scalars if "seconds" in name or "participation" in name]
    assert all(isinstance(value, float) for value in scalars.values())


def test_the_summary_contains_the_error_if_known() -> None:
    assert make_metrics(mse=0.02, top1=0.5, count=100).summary() == "finished: MSE 0.02"
    assert Metrics(attack={}, seconds={}).summary() == "finished"
