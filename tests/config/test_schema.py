from pathlib import Path

import yaml

from palimpsest.config import build_config, read_config


def test_stored_configuration_is_read_back_equal(tmp_path: Path) -> None:
    config = build_config(
        {"defenses": [{"name": "sign"}], "attack": {"name": "igf", "epochs": 3}, "memory_budget": "512MiB"}
    )
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert read_config(tmp_path / "config.yaml") == config


def test_stored_configuration_is_complete() -> None:
    stored = yaml.safe_load(build_config({"attack": {"name": "igf"}}).to_yaml())
    assert stored["attack"]["learning_rate"] == 1e-4
    assert stored["federation"]["rounds"] == 20
    assert stored["seed"] == 1234
