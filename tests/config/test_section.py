import copy
import pickle
from typing import ClassVar

import pytest
from pydantic import ValidationError

from palimpsest.config import AttackConfig, Section
from palimpsest.config.section import PositiveInt
from palimpsest.registry import ATTACKS, DEFENSES, MODELS, Component, Registry


class Pair(Section):
    """Two components, each named by a key."""

    selectors: ClassVar = {"model": MODELS, "defense": DEFENSES}

    model: str = "convnet"
    defense: str = "prune"
    count: PositiveInt = 1


def test_component_has_the_settings_of_its_section() -> None:
    pair = Pair.model_validate({"ratio": 0.5})
    assert pair.component("defense") == DEFENSES.get("prune")(ratio=0.5)
    assert pair.component("model") == MODELS.get("convnet")()


def test_fills_in_default_settings() -> None:
    defaults = DEFENSES.get("prune")().model_dump()
    assert defaults
    assert defaults.items() <= Pair().model_dump().items()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"defense": "sign", "ratio": 0.5},
            "'ratio' is not a setting of sign: give it with defense set to prune",
        ),
        ({"ratoi": 0.5}, "ratio"),
        ({"model": "convnte"}, "convnet"),
        ({"ratio": 7.0}, "ratio"),
        ({"count": 0}, "greater than 0"),
        ({"count": 2**63}, "less than or equal"),
    ],
)
def test_rejects_unknown_and_invalid_settings(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Pair.model_validate(given)


def test_packages_exclude_built_in_components() -> None:
    assert Pair().packages == ()


def test_settings_are_fields_in_the_given_order() -> None:
    attack = AttackConfig.model_validate({"width": 32, "name": "igf", "epochs": 3})
    assert (attack.width, attack.epochs) == (32, 3)
    assert list(attack.model_dump())[:3] == ["name", "width", "epochs"]
    assert list(attack.model_dump())[3:] == [
        name for name in ATTACKS.get("igf").model_fields if name not in ("width", "epochs")
    ]
    with pytest.raises(ValidationError, match="frozen"):
        attack.epochs = 4


def test_reports_each_invalid_setting_by_its_key() -> None:
    with pytest.raises(ValidationError) as error:
        AttackConfig.model_validate({"name": "igf", "epochs": 0, "batch_size": "many"})
    assert {problem["loc"] for problem in error.value.errors()} == {("epochs",), ("batch_size",)}


def test_copies_and_pickles_keep_the_settings() -> None:
    attack = AttackConfig.model_validate({"width": 32, "name": "igf", "epochs": 3})
    for again in (pickle.loads(pickle.dumps(attack)), copy.deepcopy(attack), attack.model_copy()):
        assert again == attack
        assert again.model_dump_json() == attack.model_dump_json()
        assert again.build() == attack.build()


def test_rejects_a_setting_with_the_name_of_a_key() -> None:
    registry: Registry[Component] = Registry("component", "palimpsest.errors")

    @registry.register("clash")
    class Clash(Component):
        """Its setting is a key of the section."""

        count: int = 3
        """The same name."""

    class Counted(Section):
        """One component."""

        selectors: ClassVar = {"name": registry}

        name: str = "clash"
        count: int = 1

    with pytest.raises(ValidationError, match=r"component 'clash' has a setting 'count'.*rename the setting"):
        Counted()
