from pathlib import Path

import pytest
import yaml

from palimpsest.case import read_case
from palimpsest.config import AuditConfig, build_config, preset_names, read_config
from palimpsest.errors import ConfigurationError


def test_a_stored_configuration_is_read_back_equal(tmp_path: Path) -> None:
    config = build_config(
        {"defenses": [{"name": "sign"}], "attack": {"epochs": 3}, "memory_budget": "512MiB"}
    )
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert read_config(tmp_path / "config.yaml") == config


def test_a_stored_configuration_is_complete() -> None:
    stored = yaml.safe_load(AuditConfig().to_yaml())
    assert stored["attack"]["learning_rate"] == 1e-4
    assert stored["federation"]["rounds"] == 20
    assert stored["seed"] == 1234


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("federation: {rounds: 7, clients: 9}\nattack: {name: igf, epochs: 5}\n")
    config = read_config(path, {"federation": {"rounds": 3}, "seed": 8})
    assert (config.federation.rounds, config.federation.clients, config.seed) == (3, 9, 8)
    assert config.attack.components["name"].epochs == 5


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"atack": {}}, ["'atack'", "did you mean 'attack'"]),
        ({"attack": {"epoch": 3}}, ["attack", "'epoch'", "did you mean 'epochs'"]),
        ({"attack": {"epochs": 0}}, ["epochs is 0", "greater than 0"]),
        ({"attack": {"epochs": "many"}}, ["epochs is 'many'", "integer"]),
        ({"attack": {"name": "ifg"}}, ["no attack 'ifg'", "did you mean 'igf'"]),
        ({"federation": {"fraction": 1.5}}, ["federation.fraction is 1.5", "less than or equal to 1"]),
        ({"federation": {"learning_rate": float("nan")}}, ["federation.learning_rate", "finite"]),
        ({"defenses": [{"name": "sgin"}]}, ["defenses.0", "did you mean 'sign'"]),
        ({"defenses": [3]}, ["defenses is [3]", "give a defence's name"]),
        ({"verification": {"tau": "loose"}}, ["verification.tau"]),
        ({"memory_budget": "a lot"}, ["memory_budget is 'a lot'", "4GiB"]),
        ({"memory_budget": "1MiB"}, ["memory_budget", "greater than or equal to"]),
        ({"device": "tpu"}, ["device is 'tpu'", "'auto', 'cpu' or 'cuda'"]),
    ],
)
def test_what_is_not_accepted_is_named_with_its_value_and_the_remedy(tree: dict, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        build_config(tree)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_defence_is_named_alone_or_with_its_settings() -> None:
    whole = build_config({"defenses": [{"name": "sign"}]})
    assert build_config({"defenses": "sign"}) == whole
    assert build_config({"defenses": ["sign"]}) == whole
    assert build_config({"defenses": {"name": "sign"}}) == whole
    several = build_config({"defenses": [{"name": "prune", "ratio": 0.5}, "sign"]})
    assert [one.name for one in several.defenses] == ["prune", "sign"]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        build_config({"seed": -1, "federation": {"rounds": 0}})
    assert "seed" in str(error.value)
    assert "federation.rounds" in str(error.value)


@pytest.mark.parametrize(
    ("text", "word"), [("- a\n- b\n", "list"), ("a: [", "not YAML"), ("a: b: c", "not YAML")]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=word):
        read_config(path)


def test_unknown_presets_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'digits'"):
        read_config("digit")
    with pytest.raises(ConfigurationError, match="check the path"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_says_what_it_is(name: str) -> None:
    config = read_config(name)
    assert config.description
    assert config.paper


def test_naming_another_component_leaves_the_settings_of_the_one_before_behind(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "attack: {name: igf, epochs: 5}\nfederation: {rounds: 7, aggregation: fedprox, proximal_mu: 0.5}\n"
    )
    other = read_config(
        path, {"attack": {"name": "lti", "hidden": 9}, "federation": {"aggregation": "fedavg"}}
    )
    attack = other.attack.components["name"]
    assert (attack.epochs, attack.hidden) == (type(attack)().epochs, 9)
    assert other.federation.rounds == 7
    same = read_config(path, {"attack": {"name": "igf", "batch_size": 9}})
    assert same.attack.components["name"].epochs == 5
    assert same.federation.components["aggregation"].proximal_mu == 0.5


def test_a_missing_key_is_named_with_its_flag() -> None:
    with pytest.raises(
        ConfigurationError, match="auxiliary is missing: give it in a file, or as --auxiliary"
    ):
        read_case(None, {})


def test_text_in_place_of_a_mapping_is_shown_how_to_be_one() -> None:
    with pytest.raises(ConfigurationError, match="'classes=10': give a mapping in YAML"):
        read_case(None, {"auxiliary": "images", "proofs": "proofs", "model_arguments": "classes=10"})
