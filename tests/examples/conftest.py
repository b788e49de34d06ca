"""Fixtures that run the commands of the examples' READMEs in separate environments."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.environments import Environment, build_wheel, make_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
Shell = Callable[..., "subprocess.CompletedProcess[str]"]
Installed = Callable[..., Environment]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Function that creates an environment with palimpsest and the given requirements."""
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    environments: list[Environment] = []

    def make(*requirements: str) -> Environment:
        environment = make_environment(tmp_path_factory.mktemp("environment"), wheel, *requirements)
        environments.append(environment)
        return environment

    yield make
    for environment in environments:
        environment.close()


@pytest.fixture(scope="session")
def clean(installed: Installed) -> Environment:
    """Environment with only palimpsest and its dependencies."""
    return installed()


@pytest.fixture(scope="session")
def shell(clean: Environment) -> Shell:
    """Function that runs a command line of a README in the clean environment."""
    return clean.run


def commands(example: str) -> list[str]:
    """Return the command lines of a README's indented blocks, without comments, each on one line."""
    text = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    block = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    joined = re.sub(r"\\\n\s*", " ", block)
    return [line.partition("  #")[0].strip() for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="session")
def readme() -> Callable[[str], list[str]]:
    """Function that returns the commands of an example's README."""
    return commands


@pytest.fixture(scope="session")
def own_checkpoints(tmp_path_factory: pytest.TempPathFactory, shell: Shell) -> Path:
    """Folder of the example `own-checkpoints` after training and proving."""
    folder = tmp_path_factory.mktemp("own") / "own-checkpoints"
    shutil.copytree(EXAMPLES / "own-checkpoints", folder)
    train, prove, *_ = commands("own-checkpoints")
    shell(train, folder)
    assert "40 proofs" in shell(prove, folder).stdout
    return folder
