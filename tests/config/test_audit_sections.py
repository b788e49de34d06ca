from typing import Any

import pytest
from pydantic import ValidationError

from palimpsest.config import (
    AttackConfig,
    DataConfig,
    FederationConfig,
    ModelConfig,
    UnlearningConfig,
    build_config,
)
from palimpsest.config.audit_sections import DefenseConfig, ScoringConfig, VerificationConfig, listed_defenses
from palimpsest.registry import AGGREGATIONS, ATTACKS, METHODS, MODELS, PARTITIONS, Component


@pytest.mark.parametrize(
    ("section", "built"),
    [
        (ModelConfig(name="lenet", activation="relu"), MODELS.get("lenet")(activation="relu")),
        (AttackConfig.model_validate({"name": "lti", "hidden": 9}), ATTACKS.get("lti")(hidden=9)),
        (UnlearningConfig.model_validate({"method": "ascent"}), METHODS.get("ascent")()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_build_gives_the_named_component_with_its_settings(section: Any, built: Component) -> None:
    assert section.build() == built
    assert type(section).model_fields.keys() == {
        *type(section).declared.model_fields,
        *type(built).model_fields,
    }


def test_federation_and_data_build_the_component_that_their_key_names() -> None:
    federation = FederationConfig.model_validate({"aggregation": "fedprox", "proximal_mu": 0.5})
    assert federation.build_aggregation() == AGGREGATIONS.get("fedprox")(proximal_mu=0.5)
    data = DataConfig.model_validate({"partition": "dirichlet", "alpha": 2.0})
    assert data.build_partition() == PARTITIONS.get("dirichlet")(alpha=2.0)


def test_a_defense_is_named_alone_or_with_its_settings() -> None:
    whole = build_config({"defenses": [{"name": "sign"}]})
    assert build_config({"defenses": "sign"}) == whole
    assert build_config({"defenses": ["sign"]}) == whole
    assert build_config({"defenses": {"name": "sign"}}) == whole
    several = build_config({"defenses": [{"name": "prune", "ratio": 0.5}, "sign"]})
    assert [one.name for one in several.defenses] == ["prune", "sign"]


def test_a_list_of_defenses_is_made_of_what_was_given() -> None:
    assert listed_defenses("sign") == [{"name": "sign"}]
    assert listed_defenses({"name": "prune"}) == [{"name": "prune"}]
    made = DefenseConfig(name="sign")
    assert listed_defenses([made, "sign"]) == [made, {"name": "sign"}]
    for wrong in (3, None, ["sign", 3]):
        with pytest.raises(ValueError, match="give a defense's name, or a list such as"):
            listed_defenses(wrong)


def test_the_same_request_is_answered_by_another_method_with_its_defaults() -> None:
    given = {"scenario": "class", "classes": (2,), "method": "ascent", "steps": 7}
    asked = UnlearningConfig.model_validate(given).by("retrain", fresh_seed=True)
    assert asked == UnlearningConfig.model_validate(
        {"scenario": "class", "classes": (2,), "method": "retrain", "fresh_seed": True}
    )
    assert not asked.by("ascent").fresh_seed
    assert asked.by("ascent").build() == METHODS.get("ascent")()


def test_further_metrics_are_known_and_named_once() -> None:
    assert ScoringConfig(metrics=("mae",)).packages == ()
    with pytest.raises(ValidationError, match="named twice"):
        ScoringConfig(metrics=("mae", "mae"))
    with pytest.raises(ValidationError, match="mae"):
        ScoringConfig(metrics=("mea",))


@pytest.mark.parametrize("tau", [0, -1, "calibrate"])
def test_a_threshold_is_positive_or_calibrated(tau: object) -> None:
    assert VerificationConfig().tau == "calibrated"
    with pytest.raises(ValidationError, match="tau"):
        VerificationConfig.model_validate({"tau": tau})


def test_the_sets_that_this_package_brings_are_no_package_of_others() -> None:
    assert DataConfig(name="digits", auxiliary="mnist").packages == ()
