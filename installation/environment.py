"""An empty virtual environment into which pip installs the wheel from the package index."""

import os
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from installation.build import ROOT

_TOOLS = ("pip", "setuptools", "wheel")


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: Its folder.
        wheel: The wheel to install.
    """

    folder: Path
    wheel: Path

    @classmethod
    def create(cls, folder: Path, wheel: Path) -> Self:
        """Create an environment with pip only."""
        venv.create(folder, with_pip=True, symlinks=True)
        return cls(folder, wheel)

    @property
    def packages(self) -> Path:
        """The folder of the installed packages."""
        (folder,) = self.folder.glob("lib/*/site-packages")
        return folder

    def install(self, extra: str = "") -> None:
        """Install the wheel, its requirements at the tested versions, and an extra.

        Args:
            extra: Name of the extra; empty for none.

        Raises:
            subprocess.CalledProcessError: pip finds no versions that fit together, or can't install them.
        """
        requirement = f"palimpsest-audit[{extra}] @ {self.wheel.as_uri()}" if extra else str(self.wheel)
        pip = [str(self.folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
        pip += ["--disable-pip-version-check", "--constraint", str(ROOT / "constraints.txt"), requirement]
        subprocess.run(pip, check=True, cwd=self.folder, env=variables())

    def run(self, *words: str, code: int = 0) -> str:
        """Run a program of the environment in its folder, and return what it prints.

        Args:
            words: The program's name and its arguments.
            code: The exit code that it must have.

        Raises:
            RuntimeError: It ends with another code; the message has its output.
        """
        command = [str(self.folder / "bin" / words[0]), *words[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env=variables(), capture_output=True, text=True, check=False
        )
        output = done.stdout + done.stderr
        if done.returncode != code:
            raise RuntimeError(f"{' '.join(words)} ended with code {done.returncode}, not {code}:\n{output}")
        return output

    def distributions(self) -> int:
        """Return the number of installed distributions, without pip and setuptools."""
        found = (path.name.partition("-")[0] for path in self.packages.glob("*.dist-info"))
        return sum(name not in _TOOLS for name in found)

    def mebibytes(self) -> float:
        """Return the size of the installed files, without pip and setuptools."""
        tops = [path for path in self.packages.iterdir() if path.name.partition("-")[0] not in _TOOLS]
        files = (file for top in tops for file in (top.rglob("*") if top.is_dir() else [top]))
        return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink()) / 2**20


def variables() -> dict[str, str]:
    """Return the variables of this process without those of Python.

    With PYTHONPATH set to the sources, pip would take Palimpsest for installed.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
