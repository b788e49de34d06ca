"""Copies of the examples, and their commands as their README has them, in environments of their own."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.environments import Environment, build_wheel, make_environment

EXAMPLES = Path(__file__).parents[2] / "examples"
Shell = Callable[..., "subprocess.CompletedProcess[str]"]
Installed = Callable[..., Environment]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Makes an environment of its own: palimpsest, and what else is asked for."""
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))

    def make(*requirements: str) -> Environment:
        return make_environment(tmp_path_factory.mktemp("environment"), wheel, *requirements)

    return make


@pytest.fixture(scope="session")
def clean(installed: Installed) -> Environment:
    """An environment with palimpsest and nothing else."""
    return installed()


@pytest.fixture(scope="session")
def shell(clean: Environment) -> Shell:
    """Runs one command line of a README where palimpsest is installed and nothing else."""
    return clean.run


def commands(example: str) -> list[str]:
    """The command lines in a README's indented blocks, without comments, each on one line."""
    text = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    block = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    joined = re.sub(r"\\\n\s*", " ", block)
    return [line.partition("  #")[0].strip() for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="session")
def readme() -> Callable[[str], list[str]]:
    """An example's commands by its name."""
    return commands


@pytest.fixture(scope="session")
def own_checkpoints(tmp_path_factory: pytest.TempPathFactory, shell: Shell) -> Path:
    """The example's folder, in which the federation has trained and proved."""
    folder = tmp_path_factory.mktemp("own") / "own-checkpoints"
    shutil.copytree(EXAMPLES / "own-checkpoints", folder)
    train, prove, *_ = commands("own-checkpoints")
    shell(train, folder)
    assert "40 proofs" in shell(prove, folder).stdout
    return folder
