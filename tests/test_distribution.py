"""The name that pip installs, on every page, in every message and in every requirement."""

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import get_args

import pytest

from palimpsest.distribution import DISTRIBUTION, Extra, install_command, palimpsest_version

ROOT = Path(__file__).parents[1]
_ALONE = r"(?<![\w./'-])'?palimpsest(?![\w.-])"
_STRANGER = re.compile(
    rf"""
    \b(?:pip3?|pipx|uv|poetry|conda)\b[^\n`]*?\b(?:install|add|download)\b[^\n`]*?\s{_ALONE}   # pip install palimpsest
    | (?<![\w./-])palimpsest\\?\[                                                # palimpsest[flower]
    | (?<![\w./-])palimpsest\s*(?:==|>=|<=|~=)\s*\d                              # palimpsest>=0.2
    | \b(?:version|distribution|requires|metadata)\(["']palimpsest["']\)         # version("palimpsest")
    """,
    re.VERBOSE,
)
"""Uses of the name `palimpsest` where pip or `importlib.metadata` would take it for a distribution."""


def strangers(text: str) -> list[str]:
    """Return the lines that name the unrelated distribution `palimpsest`."""
    return [line for line in text.splitlines() if _STRANGER.search(line)]


def tracked_texts() -> dict[str, str]:
    """Return all text files that git lists, tracked or not yet, except this one."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    texts = dict[str, str]()
    for name in listed.splitlines():
        path = ROOT / name
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def requirements(project: dict[str, object]) -> list[str]:
    """Return the requirements of a parsed pyproject.toml, with those of its extras."""
    table = project.get("project")
    assert isinstance(table, dict)
    extras = table.get("optional-dependencies", {}).values()
    return [*table.get("dependencies", ()), *(requirement for extra in extras for requirement in extra)]


def test_no_file_names_the_unrelated_distribution() -> None:
    texts = tracked_texts()
    assert {"README.md", "pyproject.toml", "src/palimpsest/distribution.py"} <= texts.keys()
    found = {name: lines for name, text in texts.items() if (lines := strangers(text))}
    assert found == {}, f"The package index has a stranger's project of this name. Write {DISTRIBUTION}."


def test_no_project_requires_the_unrelated_distribution() -> None:
    projects = {name: tomllib.loads(text) for name, text in tracked_texts().items() if "pyproject" in name}
    assert len(projects) > 3
    for name, project in projects.items():
        names = [re.split(r"[^\w.-]", requirement)[0] for requirement in requirements(project)]
        assert "palimpsest" not in names, name
    assert DISTRIBUTION in requirements(projects["examples/plugin/pyproject.toml"])


@pytest.mark.parametrize(
    "line",
    [
        "pip install palimpsest",
        "Run `pip install 'palimpsest[flower]'`.",
        r"match=r'palimpsest\[flower\]'",
        "python -m pip install -U palimpsest pandas",
        "uv add palimpsest",
        "palimpsest >= 0.2",
        'version("palimpsest")',
    ],
)
def test_finds_lines_that_name_the_unrelated_distribution(line: str) -> None:
    assert strangers(f"before\n{line}\nafter") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "pip install 'palimpsest-audit[flower]'",
        "pip install palimpsest_audit-1.0-py3-none-any.whl",
        "`pip install pandas`, then `palimpsest runs`",
        "import palimpsest",
        'files("palimpsest.report")',
        "palimpsest audit digits",
    ],
)
def test_accepts_other_lines(line: str) -> None:
    assert strangers(line) == []


def test_the_installed_distribution_has_the_name_the_extras_and_the_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = distribution(DISTRIBUTION)
    assert installed.metadata["Name"] == project["name"] == DISTRIBUTION
    assert palimpsest_version() == installed.version == project["version"]
    assert set(get_args(Extra)) <= project["optional-dependencies"].keys()
    assert project["scripts"] == {"palimpsest": "palimpsest.cli:main"}
    for extra in get_args(Extra):
        assert install_command(extra) == f"pip install '{DISTRIBUTION}[{extra}]'"


def test_the_command_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    from palimpsest.cli import main

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == palimpsest_version()
