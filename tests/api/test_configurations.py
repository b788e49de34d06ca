import importlib
import inspect

from palimpsest.api.configurations import CONFIGURATIONS
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.config import AuditConfig, RunConfig


def test_every_command_that_takes_keys_has_a_configuration() -> None:
    contents = importlib.import_module("palimpsest.cli.contents")
    names = {
        name
        for name in contents.COMMANDS
        if "overrides" in inspect.signature(contents.import_command(name)).parameters
    }
    assert names | {"reproduce"} == set(CONFIGURATIONS)


def test_commands_on_the_same_artifacts_take_the_same_keys() -> None:
    assert CONFIGURATIONS["attack"] is CONFIGURATIONS["doctor"] is ArtifactsConfig
    assert CONFIGURATIONS["sweep"] is CONFIGURATIONS["reproduce"] is CONFIGURATIONS["audit"] is AuditConfig
    assert all(issubclass(config, RunConfig) for config in CONFIGURATIONS.values())
