"""Commands with a flag for every key of their configuration, and the explanation of errors in these flags."""

from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError
from pydantic import ValidationError

from palimpsest.api.configurations import CONFIGURATIONS
from palimpsest.cli.brief_help import BriefHelp, wants_everything
from palimpsest.cli.contents import COMMAND_FORMAT, EVERYTHING
from palimpsest.cli.overrides import override_model, with_flags
from palimpsest.cli.selection import section_of_flag, select
from palimpsest.config import explain_validation, new_name

_EPILOGUE = (
    "Help lists the flags of the selected components. To see those of another component, name it, as in --attack.name "
    f"igf-plus --help. {EVERYTHING} lists all flags with their full texts. To turn a switch off, write no- before its "
    "name, as in --attack.no-horizontal-flip."
)


def add_configured(
    app: App, command: Callable[..., Any], name: str, kind: str, arguments: Sequence[str] | None
) -> None:
    """Add a command with its flags to an app.

    Args:
        app: The app.
        command: The command's function, with a parameter `overrides`.
        name: The command's name.
        kind: The key of its configuration in `CONFIGURATIONS`.
        arguments: The command line, whose help shows the flags of the components that it selects. If None, help shows
            all flags.

    Raises:
        ConfigurationError: A module that the YAML file on the command line imports can't be imported.
    """
    config = CONFIGURATIONS[kind]
    if arguments is None or wants_everything(arguments):
        app.command(with_flags(command, override_model(config)), name=name, help_format=COMMAND_FORMAT)
    else:
        model = override_model(config, select(config, arguments))
        app.command(
            with_flags(command, model),
            name=name,
            help_format=COMMAND_FORMAT,
            help_formatter=BriefHelp(),
            help_epilogue=_EPILOGUE,
        )


def explain_parse_error(error: CycloptsError, command: str, arguments: Sequence[str]) -> str:
    """Return the message for a command line that can't be parsed.

    Args:
        error: The parser's error.
        command: The command's name; empty for none.
        arguments: The command line.
    """
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        name = argument.partition("=")[0]
        section = section_of_flag(CONFIGURATIONS.get(command), name)
        if section is not None:
            return f"{name} is a section of settings: use {section}."
        renamed = new_name(argument)
        if renamed is not None:
            return f"The flag {name} was renamed: use {renamed}."
    cause: Any = error.__cause__
    if isinstance(cause, ValidationError):
        return explain_validation(cause)
    return " ".join(str(error).split())
