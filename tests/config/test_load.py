from pathlib import Path

import pytest
from tests.support.warnings import Warnings

from palimpsest.config import preset_names, read_config
from palimpsest.errors import ConfigurationError
from palimpsest.progress import with_callbacks


def test_overrides_take_precedence_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("federation: {rounds: 7, clients: 9}\nattack: {name: igf, epochs: 5}\n")
    config = read_config(path, {"federation": {"rounds": 3}, "seed": 8})
    assert (config.federation.rounds, config.federation.clients, config.seed) == (3, 9, 8)
    assert config.attack.build().epochs == 5


@pytest.mark.parametrize(
    ("text", "word"), [("- a\n- b\n", "list"), ("a: [", "not valid YAML"), ("a: b: c", "not valid YAML")]
)
def test_rejects_a_file_that_is_not_a_configuration(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=word):
        read_config(path)


def test_rejects_unknown_presets_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'digits'"):
        read_config("digit")
    with pytest.raises(ConfigurationError, match="check the path"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_described(name: str) -> None:
    config = read_config(name)
    assert config.description
    assert config.paper


def test_another_component_drops_the_previous_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "attack: {name: igf, epochs: 5}\nfederation: {rounds: 7, aggregation: fedprox, proximal_mu: 0.5}\n"
    )
    other = read_config(
        path, {"attack": {"name": "lti", "hidden": 9}, "federation": {"aggregation": "fedavg"}}
    )
    attack = other.attack.build()
    assert (attack.epochs, attack.hidden) == (type(attack)().epochs, 9)
    assert other.federation.rounds == 7
    same = read_config(path, {"attack": {"name": "igf", "batch_size": 9}})
    assert same.attack.build().epochs == 5
    assert same.federation.build_aggregation().proximal_mu == 0.5


@pytest.mark.parametrize(
    ("overrides", "dropped"),
    [
        ({"scenario": "class", "classes": (3,)}, "count"),
        ({"scenario": "client", "clients": (2,)}, "count"),
        ({"scenario": "sample", "count": 20}, ""),
    ],
)
def test_another_scenario_drops_the_presets_keys_that_lose_their_meaning(
    overrides: dict[str, object], dropped: str
) -> None:
    warnings = Warnings()
    with with_callbacks(warnings):
        config = read_config("digits", {"unlearning": overrides})
    assert config.unlearning.scenario == overrides["scenario"]
    if dropped:
        assert config.unlearning.count is None
        assert warnings.messages == [
            f"scenario is now {overrides['scenario']!r}, so count of the preset or file no longer applies."
        ]
    else:
        assert warnings.messages == []
