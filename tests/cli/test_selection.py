from pathlib import Path

import pytest

from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.cli.selection import import_named_modules, sections, select
from palimpsest.config import AuditConfig, ModelConfig
from palimpsest.errors import ConfigurationError

DEFAULTS = {
    ("data", "partition"): "iid",
    ("model", "name"): "convnet",
    ("federation", "aggregation"): "fedavg",
    ("unlearning", "method"): "retrain",
    ("attack", "name"): "strongest",
}


def test_finds_sections_by_their_keys() -> None:
    found = dict(sections(AuditConfig))
    assert found["model"] is ModelConfig
    assert "seed" not in found
    assert "defenses" not in found


def test_selects_defaults_without_arguments() -> None:
    assert DEFAULTS.items() <= select(AuditConfig, ["audit"]).items()


@pytest.mark.parametrize(
    ("arguments", "attack"),
    [
        (["--attack.name", "igf-plus"], "igf-plus"),
        (["--attack.name=igf-plus"], "igf-plus"),
        (["--attack.name", "lti", "--attack.name", "igf-plus"], "igf-plus"),
        (["mnist-dragd"], "dragd"),
        (["mnist-dragd", "--attack.name", "lti"], "lti"),
        (["--attack.name"], "strongest"),
        (["--attack.epochs", "3"], "strongest"),
    ],
)
def test_last_flag_overrides_the_preset_and_the_preset_the_default(arguments: list[str], attack: str) -> None:
    assert select(AuditConfig, ["audit", *arguments])["attack", "name"] == attack


def test_file_selects_components_and_a_broken_file_selects_defaults(tmp_path: Path) -> None:
    file = tmp_path / "artifacts.yaml"
    file.write_text("attack: {name: lti}\n")
    assert select(ArtifactsConfig, ["attack", str(file)])["attack", "name"] == "lti"
    for text in ("attack: [\n", "attack: lti\n"):
        file.write_text(text)
        assert select(ArtifactsConfig, ["attack", str(file)])["attack", "name"] == "strongest"
    # The command attack has no presets.
    assert select(ArtifactsConfig, ["attack", "mnist-dragd"])["attack", "name"] == "strongest"


@pytest.mark.parametrize("arguments", [["--import", "no_such_module"], ["--import=no_such_module"]])
def test_names_a_module_that_can_not_be_imported(arguments: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="no_such_module"):
        import_named_modules(["audit", *arguments])
    import_named_modules(["audit", "no_such_module"])
