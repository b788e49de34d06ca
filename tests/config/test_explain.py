import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from palimpsest.artifacts import read_artifacts_config
from palimpsest.artifacts.config import ArtifactsConfig, ProveConfig
from palimpsest.config import AuditConfig, RunConfig, Section, build_config, validate
from palimpsest.errors import ConfigurationError, PalimpsestError


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"atack": {}}, ["'atack'", "did you mean 'attack'"]),
        ({"attack": {"name": "igf", "epoch": 3}}, ["attack", "'epoch'", "did you mean 'epochs'"]),
        ({"attack": {"name": "igf", "epochs": 0}}, ["epochs is 0", "greater than 0"]),
        ({"attack": {"name": "igf", "epochs": "many"}}, ["epochs is 'many'", "integer"]),
        ({"attack": {"name": "ifg"}}, ["no attack 'ifg'", "did you mean 'igf'"]),
        ({"federation": {"fraction": 1.5}}, ["federation.fraction is 1.5", "less than or equal to 1"]),
        ({"federation": {"learning_rate": float("nan")}}, ["federation.learning_rate", "finite"]),
        ({"defenses": [{"name": "sgin"}]}, ["defenses.0", "did you mean 'sign'"]),
        ({"defenses": [3]}, ["defenses is [3]", "give a defense's name"]),
        ({"verification": {"tau": "loose"}}, ["verification.tau"]),
        ({"memory_budget": "a lot"}, ["memory_budget is 'a lot'", "4GiB"]),
        ({"memory_budget": "1MiB"}, ["memory_budget", "greater than or equal to"]),
        ({"device": "tpu"}, ["device is 'tpu'", "'auto', 'cpu' or 'cuda'"]),
    ],
)
def test_names_key_value_and_remedy(tree: dict, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        build_config(tree)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tree", "new"),
    [
        (
            {"attack": {"normalise": True}},  # codespell:ignore normalise
            "'normalise' was renamed: use 'normalize'",  # codespell:ignore normalise
        ),
        (
            {"model": {"initialisation": "uniform"}},  # codespell:ignore initialisation
            "'initialisation' was renamed: use 'initialization'",  # codespell:ignore initialisation
        ),
        ({"observation": {"remaining": 4}}, "'remaining' was renamed: use 'retained'"),
        ({"case": "case.yaml"}, "'case' was renamed: use 'artifacts'"),
    ],
)
def test_gives_the_new_name_of_a_renamed_key(tree: dict, new: str) -> None:
    with pytest.raises(ConfigurationError, match=new):
        build_config(tree)


def test_reports_all_problems_at_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        build_config({"seed": -1, "federation": {"rounds": 0}})
    assert "seed" in str(error.value)
    assert "federation.rounds" in str(error.value)


def test_names_the_flag_of_a_missing_key() -> None:
    with pytest.raises(
        ConfigurationError, match="auxiliary is missing: give it in a file, or as --auxiliary"
    ):
        read_artifacts_config(None, {})


def test_shows_how_to_write_a_mapping() -> None:
    with pytest.raises(ConfigurationError, match="'classes=10': give a mapping in YAML"):
        read_artifacts_config(
            None, {"auxiliary": "images", "proofs": "proofs", "model_arguments": "classes=10"}
        )


WRONG: tuple[Any, ...] = (
    *(None, "x", "", True, -1, 0, 0.5, 1e400, math.nan, 10**400, "1" * 5000, b"\xff"),
    *([], {}, [None], {"x": 1}, [[]], object(), 1 + 1j),
)
# The beginnings of pydantic's messages, and its names of types.
RAW = re.compile(
    r"Input should|Value error|Assertion failed|unable to parse|constrained-|Overrides|literal\["
)
REQUIRED = {
    AuditConfig: {},
    ArtifactsConfig: {"proofs": "p.safetensors", "auxiliary": "digits"},
    ProveConfig: {"samples": "digits"},
}


def settings(kind: type[RunConfig]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each setting: key, section and key, or section, selector, component and key."""
    for name, info in kind.model_fields.items():
        yield (name,)
        section = info.annotation
        if not (isinstance(section, type) and issubclass(section, Section)):
            continue
        for key in section.model_fields:
            yield name, key
        for selector, registry in section.selectors.items():
            for component, declared in registry:
                yield from ((name, selector, component, key) for key in declared.model_fields)


def tree(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    match path:
        case (key,):
            return {key: value}
        case (section, key):
            return {section: {key: value}}
        case (section, selector, component, key):
            return {section: {selector: component, key: value}}
    raise AssertionError(path)


@pytest.mark.parametrize("kind", REQUIRED)
def test_no_message_is_pydantics_own(kind: type[RunConfig]) -> None:
    messages: list[str] = []
    for path in settings(kind):
        for value in WRONG:
            try:
                validate(kind, REQUIRED[kind] | tree(path, value), where="the test", imports=False)
            except PalimpsestError as error:
                messages.append(str(error))
    assert len(messages) > 100
    assert [message for message in messages if RAW.search(message) or "\n" in message] == []


def test_names_all_accepted_types_of_a_value() -> None:
    with pytest.raises(PalimpsestError, match=r"verification.tau is 'x': give a number or 'calibrated'\."):
        validate(AuditConfig, {"verification": {"tau": "x"}}, where="the test")
