"""Pages of docs/how-to with files, which are written to an empty folder in which the page's commands run in order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.forked import ForkServer
from tests.support.markdown import ROOT, files, join_lines, page_name, read_blocks

HOW_TO = ROOT / "docs" / "how-to"
PAGES = [page for page in sorted(HOW_TO.glob("*.md")) if files(page)]
KINDS = {
    "attack.md": "ATTACKS",
    "data-set.md": "DATASETS",
    "defense.md": "DEFENSES",
    "learned-attack.md": "ATTACKS",
    "metric.md": "METRICS",
    "model.md": "MODELS",
    "unlearning-method.md": "METHODS",
    "verifier.md": "VERIFIERS",
}
# -P removes the working directory from the module path, as for an installed program.
PROGRAMS = {
    "palimpsest": ("-P", "-m", "palimpsest"),
    "pytest": ("-m", "pytest", "-p", "no:cacheprovider"),
    "python": (),
}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_of_a_page_run_in_an_empty_folder(page: Path, tmp_path: Path, forked: ForkServer) -> None:
    runs = []
    for block in read_blocks(page):
        if block.title:
            (tmp_path / block.title).write_text(block.code, encoding="utf-8")
        for line in join_lines(block.code) if block.language == "console" else ():
            program, *words = shlex.split(line)
            done = forked.run(*PROGRAMS[program], *words, folder=tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            runs += [tmp_path / words[words.index("--out") + 1]] if "--out" in words else []
    assert runs
    assert all((run / "report.html").is_file() for run in runs)


@pytest.mark.parametrize(("name", "registry"), KINDS.items())
def test_each_kind_of_extension_has_a_page_that_registers_and_uses_one(name: str, registry: str) -> None:
    written = files(HOW_TO / name)
    (title,) = re.findall(rf'@{registry}\.register\("([\w-]+)"\)', "\n".join(block.code for block in written))
    (module,) = [Path(block.title).stem for block in written if ".register(" in block.code]
    text = (HOW_TO / name).read_text(encoding="utf-8")
    assert f"--import {module}" in text or f"imports: [{module}]" in text
    assert f"`{module}.py`" in text.partition("## Make it built in")[2]
    # An audit runs every registered verifier, so no configuration key names one.
    assert registry == "VERIFIERS" or re.search(rf"(?:name|method|metrics):[ \[]+{title}\b", text)


def test_all_pages_with_files_are_tested() -> None:
    assert [page.name for page in PAGES] == sorted(KINDS)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_on_a_page_passes_the_linter(page: Path, tmp_path: Path) -> None:
    python = [block for block in files(page) if block.language == "python"]
    for block in python:
        (tmp_path / block.title).write_text(block.code, encoding="utf-8")
    # Code on a page needs no docstrings.
    settings = ["--config", str(ROOT / "pyproject.toml"), "--extend-ignore", "D1", "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *settings, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
