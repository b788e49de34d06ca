"""Source distribution and wheel, and what they hold."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("src") / "palimpsest"
_SOURCES = ("pyproject.toml", "README.md", "LICENSE")
_OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation")
_BUILD_SDIST = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"


def build(folder: Path) -> tuple[Path, Path]:
    """Build the source distribution from a copy of the sources, and the wheel from the source distribution.

    Args:
        folder: An existing, empty folder for both files.

    Returns:
        Paths of the source distribution and of the wheel.
    """
    source, unpacked = folder / "source", folder / "unpacked"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", ignore=ignored)
    for name in _SOURCES:
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-c", _BUILD_SDIST, str(folder)]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (project,) = unpacked.iterdir()
    command = [sys.executable, "-m", "pip", "wheel", *_OFFLINE, "--wheel-dir", str(folder), str(project)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def missing_files(wheel: Path) -> list[str]:
    """Return the files of the package that a wheel lacks.

    Args:
        wheel: The wheel.
    """
    sources = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and path.suffix != ".pyc")
    expected = {path.relative_to(ROOT / "src").as_posix() for path in sources}
    with zipfile.ZipFile(wheel) as archive:
        return sorted(expected - set(archive.namelist()))
