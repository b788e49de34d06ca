from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.support.artifacts import Make
from tests.support.outcomes import audit_outcome, gradients_outcome, proofs_outcome, scores

from palimpsest.config import VerificationConfig
from palimpsest.datasets import FederatedData
from palimpsest.federation import Round
from palimpsest.federation.intake import NO_DATA
from palimpsest.metrics import binomial_interval
from palimpsest.metrics.schema_bounds import EpsilonMetrics
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.results.outcome import Federated
from palimpsest.pipeline.results.rates import (
    acceptance_rate,
    excluded_replies,
    forgetting_rates,
    identification_rates,
    label_rate,
    linkage_area,
    outcome_rates,
    release_rates,
)
from palimpsest.proofs import verify

IDENTIFIED = {
    f"identification_{guesses}{baseline}"
    for guesses in ("top1", "top5")
    for baseline in ("", "_mean_image", "_nearest_auxiliary")
}
EPSILON = {
    "delta": 1e-5,
    "measured": 0.5,
    "measured_gaussian": 0.6,
    "statistic": "difference",
    "power": 1.0,
    "level": 0.25,
    "releases": 40,
    "one_run": 0.1,
    "canaries": 10,
    "guesses": 5,
    "correct": 4,
}


def test_identification_is_compared_with_guessing() -> None:
    rates = identification_rates(scores())
    assert set(rates) == IDENTIFIED
    assert rates["identification_top1"].count == 4
    assert rates["identification_top1"].chance == 0.25
    # Five guesses among four samples always include the right one.
    assert (rates["identification_top5"].value, rates["identification_top5"].chance) == (1, 1)


def test_acceptance_is_compared_with_the_calibration_quantile() -> None:
    verdicts = verify(torch.eye(4) * torch.arange(1.0, 5.0), tau=3.0)
    calibrated = acceptance_rate(verdicts, VerificationConfig(tau="calibrated", quantile=0.9))
    assert (calibrated.value, calibrated.count, calibrated.chance) == (0.75, 4, 0.9)
    assert calibrated.low < 0.75 < calibrated.high
    assert acceptance_rate(verdicts, VerificationConfig(tau=3.0)).chance is None


def test_labels_are_compared_with_the_most_frequent_class() -> None:
    rate = label_rate(0.5, torch.tensor([0, 1, 1, 1]))
    assert (rate.value, rate.count, rate.chance) == (0.5, 4, 0.75)


def test_each_kind_of_outcome_has_its_rates(data: FederatedData) -> None:
    assert set(outcome_rates(proofs_outcome())) == {"accepted"}
    assert set(outcome_rates(gradients_outcome())) == IDENTIFIED | {"label_accuracy"}
    rates = outcome_rates(audit_outcome(data))
    models = ("original", "unlearned", "retrained")
    names = {f"accuracy_{split}_{model}" for split in ("retained", "forgotten", "test") for model in models}
    names |= {f"membership_{score}_{model}" for score in ("auc", "tpr") for model in models}
    assert set(rates) == IDENTIFIED | {"accepted", "agreement"} | names
    assert rates["accuracy_retained_original"].count == 75 - 4
    assert rates["accuracy_forgotten_unlearned"].value == 0.5
    assert rates["accuracy_test_original"].chance == pytest.approx(1 / 3)
    assert rates["membership_auc_original"].count == 4 + 20
    assert rates["membership_tpr_original"].chance == 0.01


def test_a_linkage_area_counts_only_comparisons_that_share_no_sample() -> None:
    rate = linkage_area(1.0, 60)
    assert (rate.value, rate.high, rate.count, rate.chance) == (1.0, 1.0, 60, 0.5)
    assert rate.low == pytest.approx(binomial_interval(20, 20)[0])
    # One or two proofs still have one comparison.
    assert linkage_area(0.5, 1).low == pytest.approx(0.025)


def test_the_shares_of_a_privacy_test_are_those_of_its_releases() -> None:
    rates = release_rates(EpsilonMetrics.model_validate(EPSILON))
    assert (rates["release_power"].low, rates["release_power"].high) == binomial_interval(40, 40)
    assert (rates["release_level"].low, rates["release_level"].high) == binomial_interval(10, 40)


def test_a_model_that_equals_the_retrained_one_needs_no_interval(data: FederatedData) -> None:
    outcome = audit_outcome(data)
    assert isinstance(outcome.source, Federated)
    distance = outcome.source.forgetting.distance
    assert distance is not None
    forgetting = replace(outcome.source.forgetting, distance=replace(distance, absolute=0.0, agreement=1.0))
    sizes = {"retained": 10, "forgotten": 4, "test": 20}
    assert "agreement" not in forgetting_rates(forgetting, sizes, classes=3)


def test_excluded_replies_are_counted_by_client_and_reason() -> None:
    rounds = [
        Round(drawn=(0, 1, 2), used=(0,), excluded={2: "not finite", 1: NO_DATA}, attempts=1, loss=0.5),
        Round(drawn=(1, 2), used=(), excluded={2: "not finite", 1: "another shape"}, attempts=2, loss=None),
        Round(drawn=(2,), used=(), excluded={2: "another shape"}, attempts=1, loss=None),
    ]
    # A client without data is not counted.
    assert excluded_replies(rounds) == {1: {"another shape": 1}, 2: {"not finite": 2, "another shape": 1}}
    assert excluded_replies([]) == {}


def test_an_attack_on_artifacts_has_intervals_and_chance_levels(case: Make, here: Path, pieces: Path) -> None:
    metrics = attack(case(truth=str(pieces / "forgotten")), out=here / "run").metrics
    attacked = {"identification_top1", "identification_top5", "accepted"}
    # Both models are there, so forgetting is measured too.
    models = {
        f"{name}_{which}"
        for name in ("accuracy_test", "membership_auc")
        for which in ("original", "unlearned")
    }
    assert attacked | models <= set(metrics.rates)
    for name, rate in metrics.rates.items():
        assert rate.low <= rate.value <= rate.high
        if name in attacked | models:
            assert rate.chance is not None
            assert rate.chance > 0
    assert metrics.permutation_test is not None
    assert 0 < metrics.permutation_test.p_value <= 1
    assert "Permutation test" in (here / "run" / "report.html").read_text()
