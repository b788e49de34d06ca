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
"""Licenses under which the program may be passed on together with the package; MPL-2.0 covers its own files alone."""


def main() -> int:
    """Do what the command line names, and end with 1 where something is not accepted."""
    parser = argparse.ArgumentParser(prog="python -m sbom", description=__doc__)
    parser.add_argument("what", choices=("sbom", "licenses", "advisories"))
    parser.add_argument("--tools", type=Path, default=ROOT / ".venv-sbom" / "bin", help="where the tools are")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="whose packages are looked at"
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
    refused = list(refused_licenses(components(chosen.sbom), exceptions()["licenses"]))
    for sentence in refused:
        print(sentence)
    print(f"{len(components(chosen.sbom))} packages, {len(refused)} with a license that is not accepted.")
    return 1 if refused else 0


def write_sbom(tools: Path, python: Path, path: Path) -> None:
    """Write the bill of materials of an environment, in CycloneDX's JSON."""
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
    """The packages of a bill of materials, without this one."""
    listed = json.loads(path.read_text(encoding="utf-8"))["components"]
    return [one for one in listed if one["name"] != "palimpsest"]


def exceptions() -> dict[str, dict[str, str]]:
    """What is let pass, with the reasons."""
    return tomllib.loads((ROOT / "sbom" / "exceptions.toml").read_text(encoding="utf-8"))


def refused_licenses(packages: list[dict[str, Any]], excepted: dict[str, str]) -> Iterator[str]:
    """A sentence for each package under a license that is not accepted, and for each exception without a package."""
    for package in packages:
        names = [name for entry in package.get("licenses", []) for name in _names(entry)]
        strange = [name for name in names if name not in ACCEPTED]
        if package["name"].lower() not in excepted and (strange or not names):
            said = ", ".join(strange) or "no license that can be read"
            yield f"{package['name']} {package['version']} has {said}: replace it, or say in exceptions.toml why not."


def check_advisories(tools: Path) -> int:
    """Ask the advisory database about every pinned version; where it can't be reached, say so and pass."""
    try:
        socket.create_connection((ADVISORIES, 443), timeout=10).close()
    except OSError as error:
        print(f"Skipped: the advisory database {ADVISORIES} can't be reached ({error}).")
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
    """The single licenses of an entry: an identifier, a classifier, or an expression of several."""
    if "expression" in entry:
        return [part for part in re.split(r"\s+(?:AND|OR|WITH)\s+|[()]", entry["expression"]) if part]
    named = entry["license"]
    return [named["id"] if "id" in named else named["name"].rpartition(" :: ")[2]]


if __name__ == "__main__":
    sys.exit(main())
