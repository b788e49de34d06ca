"""Environments as somebody else's machine has them: palimpsest as a wheel, what was asked for with it, and no more.

Whatever else is needed is linked from where these tests run, distribution by distribution as requirements name them, so
that no network is needed and that a package which nobody declared is missing here too.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OFFLINE = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
_KEPT = ("HOME", "LANG", "OMP_NUM_THREADS", "TORCH_HOME")


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and how commands are run in it."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a process sees: nothing of the tests' own environment but where the machine keeps things."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return kept | {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"} | dict(more or {})

    def run(
        self,
        line: str,
        folder: Path,
        *,
        extra: str = "",
        code: int = 0,
        variables: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run one command line of a README; `pip` is the tests' own, working on this environment."""
        program, *words = shlex.split(line) + shlex.split(extra)
        if program == "pip":
            start = [sys.executable, "-m", "pip", "--python", str(self.python)]
        else:
            start = [str(self.folder / "bin" / program)]
        done = subprocess.run(
            [*start, *words],
            cwd=folder,
            env=self.variables(variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done


def build_wheel(folder: Path) -> Path:
    """Palimpsest's wheel, from a copy of its sources."""
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=200)
    (wheel,) = folder.glob("palimpsest-*.whl")
    return wheel


def make_environment(folder: Path, wheel: Path, *requirements: str) -> Environment:
    """A new environment with the wheel, what it declares, and what else is asked for.

    Args:
        folder: Where it will be.
        wheel: Palimpsest's.
        requirements: As pip takes them: `palimpsest[flower]`, `uvicorn`.
    """
    venv.create(folder, symlinks=True)
    made = Environment(folder)
    made.run("pip install", folder, extra=shlex.join([*OFFLINE, "--no-compile", str(wheel)]))
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (installed,) = site.glob("palimpsest-*.dist-info")
    ours = Distribution.at(installed)
    for other in closure(ours, ["palimpsest", *requirements]):
        link(other, site)
    return made


def closure(ours: Distribution, requirements: Iterable[str]) -> list[Distribution]:
    """The distributions that requirements lead to, without palimpsest itself, whose own are those of its wheel."""
    pending, seen = [Requirement(one) for one in requirements], set[tuple[str, str]]()
    found: dict[str, Distribution] = {}
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        one = ours if name == "palimpsest" else distribution(name)
        found[name] = one
        for extra in {"", *wanted.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            needed = map(Requirement, one.requires or ())
            pending += [need for need in needed if not need.marker or need.marker.evaluate({"extra": extra})]
    return [one for name, one in sorted(found.items()) if name != "palimpsest"]


def link(one: Distribution, site: Path) -> None:
    """Put a distribution's packages and modules in a folder, as links; its scripts are left out."""
    root = Path(str(one.locate_file("")))
    for entry in {_package(root, PurePath(file)) for file in one.files or () if ".." not in file.parts}:
        place = site / entry
        if (root / entry).exists() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(root / entry)


def _package(root: Path, file: PurePath) -> PurePath:
    """The outermost folder around a file that is one distribution's alone; the file, where there is none."""
    for around in reversed(file.parents[:-1]):
        if (root / around / "__init__.py").is_file() or around.suffix in (".dist-info", ".libs"):
            return around
    return file
