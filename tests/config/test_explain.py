import pytest

from palimpsest.artifacts import read_artifacts_config
from palimpsest.config import build_config
from palimpsest.errors import ConfigurationError


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
