"""What the pages show is what the program does: Python is run, commands are parsed, files and presets are there."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tests.support.markdown import ROOT, commands, files, page_name, snippets

from palimpsest import registry
from palimpsest.cli.main import app, main
from palimpsest.config import AuditConfig, read_config
from palimpsest.pipeline.sweep import read_grid

PAGES = sorted(
    path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
    ]
    if path.name != "changelog.md"
)


# Pages whose commands are run: the plugin's has flags of the plugin, which is not installed here (tests/examples), and
# the how-to pages with files have names that those files register (test_how_to.py).
COMMANDS = [
    (page, line)
    for page in PAGES
    if page.parent.name != "plugin" and not files(page)
    for line in commands(page)
]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page_name(page)}-{line}" for page, line in COMMANDS]
)
def test_a_command_that_is_shown_is_one_that_the_program_takes(page: Path, command: str) -> None:
    # `[--truth forgotten/]` is optional, `[{name: sign}]` is YAML and stands in quotes.
    optional = re.sub(r" \[(--[^\]]*)\]", r" \1", command)
    _, *tokens = shlex.split(optional, comments=True)
    tokens = [token.replace("RUN", "run").replace("PRESET", "digits") for token in tokens]
    app.parse_args(tokens, exit_on_error=False, print_error=False)


SMALL = {
    "--federation.rounds": "4",
    "--model.width": "4",
    "--unlearning.count": "20",
    "--data.auxiliary-size": "60",
    "--attack.epochs": "2",
    "--attack.width": "16",
    "--scoring.bootstrap": "20",
}


@pytest.mark.timeout(600)
def test_the_tutorial_can_be_followed_from_its_first_command_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, but for audits made small, and with a folder of images that a reader would have."""
    generator = torch.Generator().manual_seed(1)
    for kind, light in (("cats", 60), ("dogs", 160)):
        folder = tmp_path / "photographs" / kind
        folder.mkdir(parents=True)
        for number in range(60):
            noise = torch.randint(0, light, (40 + number % 3, 30, 3), generator=generator)
            Image.fromarray(noise.byte().numpy()).save(folder / f"{number}.jpg")
    monkeypatch.chdir(tmp_path)
    for line in commands(ROOT / "docs" / "tutorial.md"):
        _, *tokens = shlex.split(line)
        if tokens[0] == "audit":
            tokens += [token for flag in SMALL.items() if flag[0] not in tokens for token in flag]
        with pytest.raises(SystemExit) as stop:
            main(tokens)
        assert not stop.value.code, line
        _followed(tokens, tmp_path)
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()
    assert "Report: " in capsys.readouterr().out


def _followed(tokens: list[str], folder: Path) -> None:
    """What the page says comes of a command is there."""
    page, runs = folder / "comparison" / "comparison.html", folder / "runs"
    if tokens[0] == "compare":
        assert "orthogonal" in page.read_text(encoding="utf-8")
    if tokens[0] == "report":
        text = (folder / "demo-redacted.html").read_text(encoding="utf-8")
        assert "Redacted." in text
        assert not re.search(r";base64,\w", text)
    if tokens[0] == "purge":
        assert not [*runs.glob("*/report*"), *runs.glob("*/reconstructions*"), *runs.glob("*/proofs*")]
        assert len([*runs.glob("*/metrics.json")]) == 2


PYTHON = [page for page in PAGES if snippets(page, "python")]


@pytest.mark.parametrize("page", PYTHON, ids=page_name)
def test_the_python_of_a_page_runs_from_its_top_to_its_end(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    # What a page registers is gone with it: other tests ask for all that the program itself has.
    for known in vars(registry).values():
        if isinstance(known, registry.Registry):
            known.names()
            monkeypatch.setattr(known, "_components", dict(known._components))
    namespace: dict[str, object] = {"__name__": "page"}
    for number, code in enumerate(snippets(page, "python"), 1):
        exec(compile(code, f"{page_name(page)}, block {number}", "exec"), namespace)


YAML = [(page, code) for page in PAGES for code in snippets(page, "yaml")]


@pytest.mark.parametrize(
    ("page", "code"), YAML, ids=[f"{page_name(page)}-{code[:30]}" for page, code in YAML]
)
def test_yaml_that_is_shown_is_a_grid_or_a_configuration(page: Path, code: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(code, encoding="utf-8")
    tree = yaml.safe_load(code)
    if any("." in key or isinstance(value, list) for key, value in tree.items()):
        assert read_grid("digits", path)
    else:
        assert isinstance(read_config(str(path)), AuditConfig)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_what_a_page_points_to_in_the_repository_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    pointed = [
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target and not target.startswith("#")
    ]
    named = re.findall(r"`((?:examples|tests|fuzz|benchmarks|src)/[\w./-]+)`", text)
    missing = [target for target in pointed if not (page.parent / target).exists()]
    missing += [target for target in named if not (ROOT / target).exists()]
    assert missing == []
