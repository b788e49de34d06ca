from typing import ClassVar

import pytest
from pydantic import ValidationError

from palimpsest.config import Section
from palimpsest.config.section import PositiveInt
from palimpsest.registry import DEFENSES, MODELS


class Pair(Section):
    """Two components, each named by a key."""

    selectors: ClassVar = {"model": MODELS, "defense": DEFENSES}

    model: str = "convnet"
    defense: str = "prune"
    count: PositiveInt = 1


def test_a_component_has_the_settings_given_to_its_section() -> None:
    pair = Pair.model_validate({"ratio": 0.5})
    assert pair.components["defense"] == DEFENSES.get("prune")(ratio=0.5)
    assert pair.components["model"] == MODELS.get("convnet")()


def test_settings_that_were_left_out_are_filled_in() -> None:
    defaults = DEFENSES.get("prune")().model_dump()
    assert defaults
    assert defaults.items() <= Pair().model_dump().items()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"defense": "sign", "ratio": 0.5}, "'ratio' is not a key here"),
        ({"ratoi": 0.5}, "ratio"),
        ({"model": "convnte"}, "convnet"),
        ({"ratio": 7.0}, "ratio"),
        ({"count": 0}, "greater than 0"),
        ({"count": 2**63}, "less than or equal"),
    ],
)
def test_what_no_component_takes_is_refused_by_name(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Pair.model_validate(given)


def test_only_third_parties_packages_are_named() -> None:
    assert Pair().packages == ()
