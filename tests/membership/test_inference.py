from typing import Any

import pytest
import torch
from tests.support.evidence import made_up

from palimpsest.membership import TESTS, applicable_tests, loss, membership_scores
from palimpsest.metrics.roc import roc

SIZES: Any = {"forgotten": 300, "retained": 200, "shadows": 8, "population": 200}


def auc(evidence, name: str, group="forgotten", model="unlearned") -> float:
    return roc(*membership_scores(evidence, name, group, model)).auc.value


def test_a_model_that_memorized_is_found_by_every_test_that_knows_the_samples():
    evidence = made_up(**SIZES, memory=2.0, remains=2.0)
    for name in applicable_tests(evidence, "original"):
        assert auc(evidence, name, model="original") > (
            0.9 if name in {"lira", "rmia", "lira-offline"} else 0.6
        ), name
    for name in ("lira", "u-lira", "ruli", "update-lira"):
        assert auc(evidence, name) > 0.9, name


def test_a_model_that_forgot_is_at_chance():
    evidence = made_up(**SIZES, memory=2.0, remains=0.0)
    for name in ("yeom", "lira", "lira-offline", "rmia", "rmia-offline", "u-lira", "ruli"):
        assert auc(evidence, name) == pytest.approx(0.5, abs=0.1), name
    assert auc(evidence, "lira", "retained") > 0.9


def test_who_sees_both_models_finds_the_samples_that_were_forgotten():
    evidence = made_up(**SIZES, memory=2.0, remains=0.0)
    assert auc(evidence, "update-lira") > 0.9
    assert auc(evidence, "update-aware") > 0.7


def test_over_forgetting_is_found_by_unlearned_shadow_models_only():
    evidence = made_up(**SIZES, memory=2.0, remains=-2.0)
    assert auc(evidence, "u-lira") > 0.9
    assert auc(evidence, "ruli") > 0.9
    assert auc(evidence, "lira") < 0.5
    assert auc(evidence, "yeom") < 0.5


def test_the_loss_attack_is_a_global_threshold():
    evidence = made_up(**SIZES, memory=1.0)
    members, nonmembers = membership_scores(evidence, "yeom", "forgotten", "original")
    losses = loss(evidence.original, evidence.labels)
    assert torch.equal(members, -losses[:300])
    assert torch.equal(nonmembers, -losses[300:600])


def test_tests_of_both_models_need_unlearned_shadow_models():
    every, without = made_up(**SIZES), made_up(**SIZES, unlearns=False, proofs=False)
    assert applicable_tests(every, "unlearned") == list(TESTS)
    one_model = [name for name, test in TESTS.items() if test.needs == "one model"]
    assert applicable_tests(every, "original") == applicable_tests(without, "unlearned") == one_model
    only_proofs = made_up(**SIZES, unlearns=False)
    assert applicable_tests(only_proofs, "unlearned") == [*one_model, "acceptance", "proof"]


def test_a_proof_gives_its_sample_away_and_acceptance_does_not():
    evidence = made_up(**SIZES)
    assert auc(evidence, "proof") == 1.0
    assert auc(evidence, "proof", "retained") == pytest.approx(0.5, abs=0.1)
    assert auc(evidence, "acceptance") == pytest.approx(0.5, abs=0.1)
    assert evidence.proofs is not None
    members, _ = membership_scores(evidence, "acceptance", "retained", "unlearned")
    assert torch.equal(members, -evidence.proofs.norms[600:800])
