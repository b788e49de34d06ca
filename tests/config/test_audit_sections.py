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
from palimpsest.config.audit_sections import DefenseConfig, ScoringConfig, listed_defenses
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
def test_builds_the_named_component_with_its_settings(section: Any, built: Component) -> None:
    assert section.build() == built
    assert type(section).model_fields.keys() == {
        *type(section).declared.model_fields,
        *type(built).model_fields,
    }


def test_federation_and_data_build_their_components() -> None:
    federation = FederationConfig.model_validate({"aggregation": "fedprox", "proximal_mu": 0.5})
    assert federation.build_aggregation() == AGGREGATIONS.get("fedprox")(proximal_mu=0.5)
    data = DataConfig.model_validate({"partition": "dirichlet", "alpha": 2.0})
    assert data.build_partition() == PARTITIONS.get("dirichlet")(alpha=2.0)


def test_accepts_a_defense_with_or_without_settings() -> None:
    expected = build_config({"defenses": [{"name": "sign"}]})
    assert build_config({"defenses": "sign"}) == expected
    assert build_config({"defenses": ["sign"]}) == expected
    assert build_config({"defenses": {"name": "sign"}}) == expected
    several = build_config({"defenses": [{"name": "prune", "ratio": 0.5}, "sign"]})
    assert [defense.name for defense in several.defenses] == ["prune", "sign"]


def test_lists_names_mappings_and_configurations_of_defenses() -> None:
    assert listed_defenses("sign") == [{"name": "sign"}]
    assert listed_defenses({"name": "prune"}) == [{"name": "prune"}]
    made = DefenseConfig(name="sign")
    assert listed_defenses([made, "sign"]) == [made, {"name": "sign"}]
    for wrong in (3, None, ["sign", 3]):
        with pytest.raises(ValueError, match="give a defense's name, or a list such as"):
            listed_defenses(wrong)


def test_by_changes_only_the_method() -> None:
    given = {"scenario": "class", "classes": (2,), "method": "ascent", "steps": 7}
    request = UnlearningConfig.model_validate(given).by("retrain", fresh_seed=True)
    assert request == UnlearningConfig.model_validate(
        {"scenario": "class", "classes": (2,), "method": "retrain", "fresh_seed": True}
    )
    assert not request.by("ascent").fresh_seed
    assert request.by("ascent").build() == METHODS.get("ascent")()


def test_rejects_unknown_and_repeated_metrics() -> None:
    assert ScoringConfig(metrics=("mae",)).packages == ()
    with pytest.raises(ValidationError, match="named twice"):
        ScoringConfig(metrics=("mae", "mae"))
    with pytest.raises(ValidationError, match="mae"):
        ScoringConfig(metrics=("mea",))


def test_built_in_data_sets_belong_to_no_third_party_package() -> None:
    assert DataConfig(name="digits", auxiliary="mnist").packages == ()
