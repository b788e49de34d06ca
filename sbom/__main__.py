"""Software bill of materials: `python -m sbom` with `sbom`, `licenses` or `advisories`."""

import argparse
import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from palimpsest.distribution import DISTRIBUTION

ROOT = Path(__file__).resolve().parent.parent
ADVISORIES = "api.osv.dev"
ACCEPTED = frozenset(
    {
        "0BSD",
        "Apache Software License",
        "Apache-2.0",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "DFSG approved",
        "ISC",
        "LLVM-exception",
        "MIT",
        "MIT License",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "Mozilla Public License 2.0 (MPL 2.0)",
        "PSF-2.0",
        "Public Domain",
        "Python-2.0",
        "Zlib",
    }
)
"""Licenses of dependencies that are accepted; MPL-2.0 covers only the files of the dependency itself."""


def main() -> int:
    """Run the selected check, and return 1 if it finds a license or advisory that is not accepted."""
    parser = argparse.ArgumentParser(prog="python -m sbom", description=__doc__)
    parser.add_argument("what", choices=("sbom", "licenses", "advisories"))
    parser.add_argument("--tools", type=Path, default=ROOT / ".venv-sbom" / "bin", help="folder of the tools")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="interpreter whose packages are listed"
    )
    parser.add_argument("--sbom", type=Path, default=ROOT / "dist" / "sbom.json")
    chosen = parser.parse_args()
    if chosen.what == "advisories":
        return check_advisories(chosen.tools)
    if chosen.what == "sbom" or not chosen.sbom.is_file():
        write_sbom(chosen.tools, chosen.python, chosen.sbom)
    if chosen.what == "sbom":
        print(f"{len(components(chosen.sbom))} packages are listed in {chosen.sbom}.")
        return 0
    rejected = list(rejected_licenses(components(chosen.sbom), exceptions()["licenses"]))
    for message in rejected:
        print(message)
    print(f"{len(components(chosen.sbom))} packages, {len(rejected)} with a license that is not accepted.")
    return 1 if rejected else 0


def write_sbom(tools: Path, python: Path, path: Path) -> None:
    """Write the bill of materials of an environment as CycloneDX JSON.

    Args:
        tools: Folder of the tools.
        python: Interpreter of the environment.
        path: The file to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        tools / "cyclonedx-py",
        "environment",
        "--output-reproducible",
        "--of",
        "JSON",
        "-o",
        path,
        python,
    ]
    subprocess.run(list(map(str, command)), check=True)


def components(path: Path) -> list[dict[str, Any]]:
    """Return the packages of a bill of materials, without Palimpsest itself."""
    packages = json.loads(path.read_text(encoding="utf-8"))["components"]
    return [package for package in packages if package["name"] != DISTRIBUTION]


def exceptions() -> dict[str, dict[str, str]]:
    """Return the exceptions of exceptions.toml with their reasons."""
    return tomllib.loads((ROOT / "sbom" / "exceptions.toml").read_text(encoding="utf-8"))


def rejected_licenses(packages: list[dict[str, Any]], excepted: dict[str, str]) -> Iterator[str]:
    """Yield a message for each package whose license is not accepted.

    Args:
        packages: Packages of a bill of materials.
        excepted: Reasons of accepted exceptions, by package name.
    """
    for package in packages:
        names = [name for entry in package.get("licenses", []) for name in _names(entry)]
        unaccepted = [name for name in names if name not in ACCEPTED]
        if package["name"].lower() not in excepted and (unaccepted or not names):
            description = ", ".join(unaccepted) or "no readable license"
            yield (
                f"{package['name']} {package['version']} has {description}. Replace it, or add an exception with a "
                "reason to exceptions.toml."
            )


def check_advisories(tools: Path) -> int:
    """Look up every pinned version in the advisory database; skip the check if the database can't be reached.

    Args:
        tools: Folder of the tools.

    Returns:
        The exit status of pip-audit, or 0 if the check was skipped.
    """
    try:
        socket.create_connection((ADVISORIES, 443), timeout=10).close()
    except OSError as error:
        print(f"Skipped. The advisory database {ADVISORIES} can't be reached ({error}).")
        return 0
    command = [
        str(tools / "pip-audit"),
        "--requirement",
        str(ROOT / "constraints.txt"),
        "--no-deps",
        "--disable-pip",
    ]
    command += ["--vulnerability-service", "osv"]
    for name in exceptions()["advisories"]:
        command += ["--ignore-vuln", name]
    return subprocess.run(command, check=False).returncode


def _names(entry: dict[str, Any]) -> list[str]:
    """Return the licenses of an entry, which is an identifier, a classifier, or an expression of several."""
    if "expression" in entry:
        return [part for part in re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", entry["expression"]) if part]
    named = entry["license"]
    return [named["id"] if "id" in named else named["name"].rpartition(" :: ")[2]]


if __name__ == "__main__":
    sys.exit(main())
