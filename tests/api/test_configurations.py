import importlib
import inspect

from palimpsest.api.configurations import CONFIGURATIONS
from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.config import AuditConfig, RunConfig


def test_every_command_that_takes_keys_has_a_configuration() -> None:
    commands = importlib.import_module("palimpsest.cli.main")
    names = {
        command.__name__
        for command in commands._COMMANDS
        if "overrides" in inspect.signature(command).parameters
    }
    assert names | {"reproduce"} == set(CONFIGURATIONS)


def test_commands_on_the_same_artifacts_take_the_same_keys() -> None:
    assert CONFIGURATIONS["attack"] is CONFIGURATIONS["doctor"] is ArtifactsConfig
    assert CONFIGURATIONS["sweep"] is CONFIGURATIONS["reproduce"] is CONFIGURATIONS["audit"] is AuditConfig
    assert all(issubclass(config, RunConfig) for config in CONFIGURATIONS.values())
