"""Checks of the dependencies' licenses, pins and advisories."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from sbom.__main__ import ROOT, check_advisories, exceptions, rejected_licenses


def package(*licenses: dict[str, object]) -> dict[str, object]:
    return {"name": "x", "version": "1", "licenses": list(licenses)}


@pytest.mark.parametrize(
    "entry",
    [
        {"license": {"id": "MIT"}},
        {"license": {"name": "License :: OSI Approved :: BSD License"}},
        {"expression": "Apache-2.0 WITH LLVM-exception AND (MIT OR BSD-2-Clause)"},
    ],
)
def test_permissive_licenses_are_accepted(entry: dict[str, object]) -> None:
    assert list(rejected_licenses([package(entry)], {})) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"license": {"id": "AGPL-3.0-only"}},
        {"expression": "MIT AND GPL-2.0-only"},
        {"license": {"name": "Proprietary"}},
    ],
)
def test_other_licenses_are_reported_unless_excepted(entry: dict[str, object]) -> None:
    (message,) = rejected_licenses([package({"license": {"id": "MIT"}}, entry)], {})
    assert message.startswith("x 1 has ")
    assert list(rejected_licenses([package(entry)], {"x": "a reason"})) == []


def test_a_package_without_a_license_is_reported() -> None:
    assert list(rejected_licenses([package()], {})) != []


def test_every_exception_has_a_reason() -> None:
    assert exceptions()["licenses"]
    for table in exceptions().values():
        assert all(len(reason) > 20 for reason in table.values())


def test_an_unreachable_database_skips_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("socket.create_connection", refuse)
    assert check_advisories(Path("nowhere")) == 0
    assert capsys.readouterr().out.startswith("Skipped. The advisory database")


def test_required_dependencies_are_installed_as_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["datasets"], *extras["http"], *extras["perceptual"]]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(
        line.lower().replace("_", "-").split("==") for line in lines if line and not line.startswith("#")
    )
    for requirement in required:
        match = re.match(r"[A-Za-z0-9_.-]+", requirement)
        assert match is not None
        name = match[0].lower().replace("_", "-")
        assert pinned[name] == version(name).partition("+")[0]
