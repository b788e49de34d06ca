"""The list of commands, which is shown without importing them."""

import inspect
import subprocess
import sys

import pytest

from palimpsest.api.configurations import CONFIGURATIONS
from palimpsest.cli import make_app
from palimpsest.cli.contents import COMMANDS, CONFIGURED, import_command, import_path

_LIST = """
import sys
from palimpsest.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""
HEAVY = {
    "torch",
    "numpy",
    "scipy",
    "matplotlib",
    "torchvision",
    "torchmetrics",
    "sklearn",
    "pydantic",
    "yaml",
}


def imported(*arguments: str) -> set[str]:
    """Return the modules that a command line imports."""
    process = subprocess.run(
        [sys.executable, "-c", _LIST, *arguments], capture_output=True, check=True, text=True
    )
    return set(process.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries_are_those_of_the_docstrings(name: str) -> None:
    docstring = inspect.getdoc(import_command(name)) or ""
    first = " ".join(docstring.partition("\n\n")[0].split())
    assert COMMANDS[name] == first.replace("`", "")
    assert import_path(name) == f"palimpsest.cli.{name}:{name}"


def test_configured_commands_are_those_with_a_configuration() -> None:
    assert set(CONFIGURED) == set(CONFIGURATIONS)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_list_of_commands_imports_no_command(arguments: list[str]) -> None:
    modules = imported(*arguments)
    assert not HEAVY & modules
    assert not [name for name in modules if name.startswith(("palimpsest.api", "palimpsest.config"))]
    assert "palimpsest.cli.contents" in modules


def test_a_command_line_has_the_same_commands_as_the_complete_app() -> None:
    assert list(make_app(["--help"])) == list(make_app(["runs"])) == list(make_app())
