"""Copies of the examples, and their commands as their README has them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Where `palimpsest` and `python` are this test's own, and nothing else of the test's is seen."""
    kept = ("PATH", "HOME", "PYTHONPATH", "TORCH_HOME", "OMP_NUM_THREADS", "LANG")
    return {name: value for name, value in os.environ.items() if name in kept}


@pytest.fixture(scope="session")
def shell(environment: dict[str, str]) -> Shell:
    """Runs one command line of a README."""

    def run(line: str, folder: Path, *, extra: str = "", code: int = 0) -> "subprocess.CompletedProcess[str]":
        words = shlex.split(line) + shlex.split(extra)
        programs = {"palimpsest": [sys.executable, "-m", "palimpsest"], "python": [sys.executable]}
        done = subprocess.run(
            [*programs[words[0]], *words[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done

    return run


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
