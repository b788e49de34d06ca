"""The app with all commands, and the presentation of their errors."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError
from pydantic import ValidationError
from rich.console import Console
from rich.traceback import Traceback

from palimpsest.api.configurations import CONFIGURATIONS
from palimpsest.cli.attack import attack
from palimpsest.cli.audit import audit
from palimpsest.cli.brief_help import EVERYTHING, BriefHelp, wants_everything
from palimpsest.cli.compare import compare
from palimpsest.cli.components import components
from palimpsest.cli.defend import defend
from palimpsest.cli.doctor import doctor
from palimpsest.cli.export import export
from palimpsest.cli.init import init
from palimpsest.cli.overrides import override_model, with_flags
from palimpsest.cli.presets import presets
from palimpsest.cli.prove import prove
from palimpsest.cli.purge import purge
from palimpsest.cli.report import report
from palimpsest.cli.reproduce import reproduce_commands
from palimpsest.cli.runs import runs
from palimpsest.cli.selection import import_named_modules, section_of_flag, select
from palimpsest.cli.sweep import sweep
from palimpsest.cli.verify import verify
from palimpsest.config import explain_validation, new_name
from palimpsest.display import escape_control_characters
from palimpsest.distribution import palimpsest_version
from palimpsest.errors import PalimpsestError
from palimpsest.progress import LOGGER
from palimpsest.system.memory import keep_freed_memory

_COMMANDS = (
    *(audit, attack, prove, defend, verify, doctor, report, export, runs, compare, sweep),
    *(presets, components, init, purge),
)
_RESUMED = ("audit", "attack", "sweep", "reproduce")
_INSTALL_COMPLETION = "--install-completion"
_EPILOGUE = (
    "Help lists the flags of the selected components. To see those of another component, name it, as in --attack.name "
    f"igf-plus --help. {EVERYTHING} lists all flags with their full texts. To turn a switch off, write no- before its "
    "name, as in --attack.no-horizontal-flip."
)


def make_app(arguments: Sequence[str] | None = None) -> App:
    """Build the app, whose commands have a flag for every key of their configurations.

    Args:
        arguments: A command line. Only its command gets flags, and its help shows those of the components that the
            command line selects. If None, every command gets all flags, and help shows all of them.

    Raises:
        ConfigurationError: A module that the command line imports can't be imported.
    """
    app = App(
        name="palimpsest",
        help="Measure how much of the data that a federation has unlearned can still be read.",
        help_epilogue="For auditing your own federation and for research.",
        version=palimpsest_version,
        version_flags=["--version"],
        # `main` explains an interruption.
        suppress_keyboard_interrupt=False,
    )
    app.register_install_completion_command(_INSTALL_COMPLETION)
    tables = App(
        name="reproduce",
        help="Reproduce a published table or figure; finished cells are not recomputed.",
    )
    if arguments is not None:
        import_named_modules(arguments)
    for command in _COMMANDS:
        _add(app, command, command.__name__, command.__name__, arguments)
    app.command(tables)
    for name, command in reproduce_commands().items():
        _add(tables, command, name, "reproduce", arguments)
    return app


def _add(
    app: App, command: Callable[..., Any], name: str, kind: str, arguments: Sequence[str] | None
) -> None:
    """Add a command to the app, with flags if the command line calls it."""
    config = CONFIGURATIONS.get(kind)
    if config is None or (arguments is not None and name not in arguments):
        app.command(command, name=name)
    elif arguments is None or wants_everything(arguments):
        app.command(with_flags(command, override_model(config)), name=name)
    else:
        model = override_model(config, select(config, arguments))
        app.command(
            with_flags(command, model), name=name, help_formatter=BriefHelp(), help_epilogue=_EPILOGUE
        )


def __getattr__(name: str) -> Any:
    """Return the app with all flags, which is slow to build, only when it is used."""
    if name == "app":
        return make_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: list[str] | None = None) -> None:
    """Run a command line and exit with code 0 on success, 2 on an error that the user can correct, and 1 on a bug.

    Args:
        arguments: The command line. If omitted, `sys.argv`.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    errors = Console(stderr=True, soft_wrap=True)
    debug = "--debug" in arguments
    # The command line owns its process, so no host program's allocator is changed.
    keep_freed_memory()
    try:
        _run(arguments)
    except CycloptsError as error:
        _fail(errors, _parse_error(error, arguments), 2, debug)
    except PalimpsestError as error:
        _fail(errors, str(error), 2, debug)
    except KeyboardInterrupt:
        _fail(errors, _interruption(arguments), 130, debug)
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does. Python would report the error again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # What a list would still print is no loss, but a run that stops here is not finished.
        sys.exit(141 if _command(arguments) in CONFIGURATIONS else 0)
    except Exception as error:
        _fail(
            errors,
            f"This is a bug in palimpsest ({type(error).__name__}: {error}). Run with --debug to see the traceback.",
            1,
            debug,
        )


def _run(arguments: Sequence[str]) -> None:
    """Parse and run a command line, and print everything before returning."""
    # A shell completes the flags of all commands.
    app = make_app(None if _INSTALL_COMPLETION in arguments else arguments)
    parsed = ["--help" if argument == EVERYTHING else argument for argument in arguments]
    try:
        app(parsed, exit_on_error=False, print_error=False)
    except SystemExit as end:
        # Rich ends the program with code 1 if its output is a closed pipe.
        if isinstance(end.__context__, BrokenPipeError):
            raise BrokenPipeError from end
        raise
    finally:
        sys.stdout.flush()


def _command(arguments: Sequence[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")


def _interruption(arguments: Sequence[str]) -> str:
    if _command(arguments) not in _RESUMED:
        return "Interrupted."
    return "Interrupted. Run the same command again: it goes on after the last finished stage."


def _fail(console: Console, sentence: str, code: int, debug: bool) -> None:
    """Log and print an error, and exit."""
    LOGGER.error(sentence)
    if debug:
        console.print(Traceback())
    console.print(f"[bold red]Error[/bold red] {_escaped(sentence)}", highlight=False)
    sys.exit(code)


def _escaped(text: str) -> str:
    # A message may have several lines, such as a table of names; nothing else commands the terminal.
    return "\n".join(escape_control_characters(line) for line in text.split("\n")).replace("[", r"\[")


def _parse_error(error: CycloptsError, arguments: Sequence[str]) -> str:
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        name = argument.partition("=")[0]
        section = section_of_flag(CONFIGURATIONS.get(_command(arguments)), name)
        if section is not None:
            return f"{name} is a section of settings: use {section}."
        renamed = new_name(argument)
        if renamed is not None:
            return f"The flag {name} was renamed: use {renamed}."
    cause: Any = error.__cause__
    if isinstance(cause, ValidationError):
        return explain_validation(cause)
    return " ".join(str(error).split())
