"""Flags of commands with a configuration, and the explanation of errors in them."""

import pytest
from cyclopts import App, CycloptsError

from palimpsest.cli.audit import audit
from palimpsest.cli.configured import add_configured, explain_parse_error


def flags(arguments: list[str] | None) -> set[str]:
    """Return the flags of `audit` that help shows for a command line."""
    app = App(name="palimpsest")
    add_configured(app, audit, "audit", "audit", arguments)
    return {name for flag in app["audit"].assemble_argument_collection() if flag.show for name in flag.names}


def test_help_shows_the_flags_of_the_chosen_components() -> None:
    everything, chosen = flags(None), flags(["audit", "--attack.name", "lti"])
    assert "--attack.iterations" in everything
    assert "--attack.iterations" not in chosen
    assert "--attack.iterations" in flags(["audit", "--attack.name", "dlg"])
    assert everything == flags(["audit", "--help-all"])


@pytest.mark.parametrize(
    ("command", "argument", "message"),
    [
        ("audit", "--attack", "--attack is a section of settings: use --attack.name."),
        ("", "--attack.grid=1", "The flag --attack.grid was renamed: use --attack.feature-map-layout."),
        ("runs", "--attack", "unknown"),
    ],
)
def test_explains_sections_and_renamed_flags(command: str, argument: str, message: str) -> None:
    assert explain_parse_error(CycloptsError(msg="unknown"), command, [command, argument]) == message
