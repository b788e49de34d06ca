"""Code on the documentation's pages: Python runs, commands parse, and linked files exist."""

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


# Other tests cover the plugin's page, whose flags need the plugin (tests/examples), the first ten minutes, which show
# mistakes too, and how-to pages with files, whose names these files register (test_how_to.py).
COMMANDS = [
    (page, line)
    for page in PAGES
    if page.parent.name != "plugin" and page.name != "first-ten-minutes.md" and not files(page)
    for line in commands(page)
]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page_name(page)}-{line}" for page, line in COMMANDS]
)
def test_commands_on_a_page_parse(page: Path, command: str) -> None:
    # `[--truth forgotten/]` is an optional argument; `[{name: sign}]` is quoted YAML.
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
# The first attack of the portfolio runs, and no other.
SMALL_PORTFOLIO = {flag: value for flag, value in SMALL.items() if not flag.startswith("--attack.")} | {
    "--attack.time-budget": "0.001"
}


def test_the_tutorials_commands_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands run unchanged, except for smaller audits and a generated folder of images."""
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
            small = SMALL if "strongest" not in tokens else SMALL_PORTFOLIO
            tokens += [token for flag in small.items() if flag[0] not in tokens for token in flag]
        with pytest.raises(SystemExit) as stop:
            main(tokens)
        assert not stop.value.code, line
        _check_outcome(tokens, tmp_path)
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()
    assert "Report: " in capsys.readouterr().out


def _check_outcome(tokens: list[str], folder: Path) -> None:
    """Assert that a command had the outcome that the page describes."""
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
def test_python_on_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    # Components that a page registers must not reach other tests, which list all built-in ones.
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
def test_yaml_on_a_page_is_a_grid_or_a_configuration(page: Path, code: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(code, encoding="utf-8")
    tree = yaml.safe_load(code)
    if any("." in key or isinstance(value, list) for key, value in tree.items()):
        assert read_grid("digits", path)
    else:
        assert isinstance(read_config(str(path)), AuditConfig)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_into_the_repository_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [
        target.partition("#")[0]
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if "://" not in target and not target.startswith("#")
    ]
    paths = re.findall(r"`((?:examples|tests|fuzz|benchmarks|src)/[\w./-]+)`", text)
    missing = [target for target in links if not (page.parent / target).exists()]
    missing += [target for target in paths if not (ROOT / target).exists()]
    assert missing == []
