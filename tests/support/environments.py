"""Clean environments with palimpsest as a wheel, the requested packages and their declared dependencies only.

The dependencies are linked from the tests' own environment, distribution by distribution. This needs no network, and an
undeclared dependency is missing as it would be on a user's machine.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.support.forked import ForkServer

from palimpsest.distribution import DISTRIBUTION

ROOT = Path(__file__).parents[2]
OFFLINE = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
_INHERITED = ("HOME", "LANG", "OMP_NUM_THREADS", "TORCH_HOME")


@dataclass
class Environment:
    """Virtual environment in which commands run."""

    folder: Path
    _server: ForkServer | None = field(default=None, init=False)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a process, without those of the tests' environment except for a few folders."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return inherited | {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"} | dict(more or {})

    def run(
        self,
        line: str,
        folder: Path,
        *,
        extra: str = "",
        code: int = 0,
        variables: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """Run one command line of a README; `pip` is that of the tests, applied to this environment.

        Args:
            line: The command line.
            folder: The working directory.
            extra: Arguments to add.
            code: Exit code that the command must have.
            variables: Additional variables of the command's environment.
            fresh: Start a new interpreter, as for `python -c`. Otherwise a script's process is forked from an
                interpreter of the environment that has done the slow imports; see `ForkServer`.
        """
        program, *words = shlex.split(line) + shlex.split(extra)
        script = str(self.folder / "bin" / program)
        if program == "pip" or fresh or words[:1] == ["-c"]:
            pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
            done = subprocess.run(
                [*(pip if program == "pip" else [script]), *words],
                cwd=folder,
                env=self.variables(variables),
                capture_output=True,
                text=True,
                check=False,
            )
        else:
            self._server = self._server or ForkServer(self.python, variables=self.variables())
            arguments = words if program == "python" else [script, *words]
            done = self._server.run(*arguments, folder=folder, variables=variables)
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done

    def close(self) -> None:
        """End the interpreter from which processes are forked."""
        if self._server is not None:
            self._server.close()


def build_wheel(folder: Path) -> Path:
    """Build Palimpsest's wheel from a copy of its sources."""
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("palimpsest_audit-*.whl")
    return wheel


def make_environment(folder: Path, wheel: Path, *requirements: str) -> Environment:
    """Make an environment with the wheel, its dependencies and additional requirements.

    Args:
        folder: Folder of the environment.
        wheel: Palimpsest's wheel.
        requirements: Requirements in pip's syntax, such as `palimpsest-audit[flower]` or `uvicorn`.
    """
    venv.create(folder, symlinks=True)
    environment = Environment(folder)
    environment.run("pip install", folder, extra=shlex.join([*OFFLINE, "--no-compile", str(wheel)]))
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (installed,) = site.glob("palimpsest_audit-*.dist-info")
    ours = Distribution.at(installed)
    for dependency in closure(ours, [DISTRIBUTION, *requirements]):
        link(dependency, site)
    return environment


def closure(ours: Distribution, requirements: Iterable[str]) -> list[Distribution]:
    """Return all distributions that the requirements need, without palimpsest itself.

    Args:
        ours: Palimpsest's installed distribution, whose requirements are followed.
        requirements: Requirements in pip's syntax.
    """
    pending, visited = [Requirement(text) for text in requirements], set[tuple[str, str]]()
    found: dict[str, Distribution] = {}
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        found[name] = ours if name == DISTRIBUTION else distribution(name)
        for extra in {"", *requirement.extras} - {extra for known, extra in visited if known == name}:
            visited.add((name, extra))
            needed = map(Requirement, found[name].requires or ())
            pending += [need for need in needed if not need.marker or need.marker.evaluate({"extra": extra})]
    return [found[name] for name in sorted(found) if name != DISTRIBUTION]


def link(installed: Distribution, site: Path) -> None:
    """Link a distribution's packages and modules, but not its scripts, into a folder."""
    root = Path(str(installed.locate_file("")))
    files = installed.files or ()
    for entry in {_package(root, PurePath(file)) for file in files if ".." not in file.parts}:
        place = site / entry
        if (root / entry).exists() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(root / entry)


def _package(root: Path, file: PurePath) -> PurePath:
    """Return the outermost folder around a file that belongs to a single distribution, or else the file."""
    for parent in reversed(file.parents[:-1]):
        if (root / parent / "__init__.py").is_file() or parent.suffix in (".dist-info", ".libs"):
            return parent
    return file
