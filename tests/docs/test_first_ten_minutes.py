import re
from pathlib import Path

import pytest
from docs.first_ten_minutes import PAGE, STEPS, commands

from palimpsest.cli import app

# Flags that the page shows as mistakes.
MISTAKES = {"--attack.epoch", "--attack"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_and_flags_exist(words: list[str]) -> None:
    name, *rest = words
    known = {flag for argument in app[name].assemble_argument_collection() for flag in argument.names}
    assert {word for word in rest if word.startswith("--")} - MISTAKES <= known


def test_page_shows_each_step_and_no_path_of_a_machine() -> None:
    if not PAGE.is_file():
        pytest.skip(
            "The page is not recorded: run python docs/first_ten_minutes.py, and list it in mkdocs.yml"
        )
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^\$ (.*)$", text, re.MULTILINE)[2:] == [command for _, command in STEPS]
    assert "Traceback" not in text
    assert "/tmp" not in text
    assert str(Path.home()) not in text
