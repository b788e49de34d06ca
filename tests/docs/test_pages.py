"""What the pages show is what the program does: Python is run, commands are parsed, files and presets are there."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from palimpsest.cli.main import app
from palimpsest.config import AuditConfig, read_config
from palimpsest.sweep import read_grid

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/README.md")]
    if path.name != "changelog.md"
)
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (?P<line>.*\S)\s*$", re.MULTILINE)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return [
        match["code"]
        for match in _FENCE.finditer(path.read_text(encoding="utf-8"))
        if match["language"] == language
    ]


def commands(path: Path) -> list[str]:
    """Each `palimpsest ...` of a page, with what is optional in it, and without comments and prompts."""
    text = path.read_text(encoding="utf-8")
    shown = [*blocks(path, "console"), *blocks(path, "bash")]
    shown.append("\n".join(match["line"] for match in _INDENTED.finditer(_FENCE.sub("", text))))
    lines = "\n".join(shown).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if re.match(r"(\$ )?palimpsest ", line.strip())]


# The plugin's page has the flags of the plugin, which is not installed here; its own test runs it.
COMMANDS = [(page, line) for page in PAGES if page.parent.name != "plugin" for line in commands(page)]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{name(page)}-{line}" for page, line in COMMANDS]
)
def test_a_command_that_is_shown_is_one_that_the_program_takes(page: Path, command: str) -> None:
    # `[--truth forgotten/]` is optional, `[{name: sign}]` is YAML and stands in quotes.
    optional = re.sub(r" \[(--[^\]]*)\]", r" \1", command)
    _, *tokens = shlex.split(optional, comments=True)
    tokens = [token.replace("RUN", "run").replace("PRESET", "digits") for token in tokens]
    app.parse_args(tokens, exit_on_error=False, print_error=False)


PYTHON = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", PYTHON, ids=name)
def test_the_python_of_a_page_runs_from_its_top_to_its_end(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    namespace: dict[str, object] = {"__name__": "page"}
    for number, code in enumerate(blocks(page, "python"), 1):
        exec(compile(code, f"{name(page)}, block {number}", "exec"), namespace)


YAML = [(page, code) for page in PAGES for code in blocks(page, "yaml")]


@pytest.mark.parametrize(("page", "code"), YAML, ids=[f"{name(page)}-{code[:30]}" for page, code in YAML])
def test_yaml_that_is_shown_is_a_grid_or_a_configuration(page: Path, code: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(code, encoding="utf-8")
    tree = yaml.safe_load(code)
    if any("." in key or isinstance(value, list) for key, value in tree.items()):
        assert read_grid("digits", path)
    else:
        assert isinstance(read_config(str(path)), AuditConfig)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_points_to_in_the_repository_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    pointed = [
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target and not target.startswith("#")
    ]
    named = re.findall(r"`((?:examples|tests|torture|benchmarks|src)/[\w./-]+)`", text)
    missing = [target for target in pointed if not (page.parent / target).exists()]
    missing += [target for target in named if not (ROOT / target).exists()]
    assert missing == []
