"""The commands together, and what their failures look like."""

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
from palimpsest.cli.defend import defend
from palimpsest.cli.doctor import doctor
from palimpsest.cli.overrides import override_model, with_flags
from palimpsest.cli.presets import presets
from palimpsest.cli.prove import prove
from palimpsest.cli.purge import purge
from palimpsest.cli.report import report
from palimpsest.cli.reproduce import reproduce_commands
from palimpsest.cli.runs import runs
from palimpsest.cli.selection import import_named_modules, select
from palimpsest.cli.sweep import sweep
from palimpsest.cli.verify import verify
from palimpsest.config import explain_validation, new_name
from palimpsest.display import escape_control_characters
from palimpsest.errors import PalimpsestError
from palimpsest.progress import LOGGER
from palimpsest.system.memory import keep_freed_memory

_COMMANDS = (audit, attack, prove, defend, verify, doctor, report, runs, compare, sweep, presets, purge)
_EPILOGUE = (
    "A component's flags are shown when it is named, as in --attack.name igf-plus --help. All are accepted, and "
    f"{EVERYTHING} shows all with their whole texts. A switch is turned off with no-: --attack.no-horizontal-flip."
)


def make_app(arguments: Sequence[str] | None = None) -> App:
    """The commands, with a flag for every key of their configurations.

    Args:
        arguments: A command line: only its command gets flags, and its help shows those of the components that the
            line names. None gives every command all flags, and their help shows all.

    Raises:
        ConfigurationError: A module that the command line imports can't be imported.
    """
    app = App(
        name="palimpsest",
        help="Measure how much of the data that a federation has unlearned can still be read.",
        help_epilogue="For auditing your own federation and for research.",
        version_flags=["--version"],
    )
    tables = App(
        name="reproduce",
        help="Make a published table or figure again; finished cells are not computed twice.",
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
    """Add a command, with flags if the command line is for it."""
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
    # The app with all flags is made when it is asked for: `main` makes another one, for its command line.
    if name == "app":
        return make_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 for what its user can put right, 1 for a bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    errors = Console(stderr=True, soft_wrap=True)
    debug = "--debug" in arguments
    # The process is the command line's own: no host's allocator is retuned.
    keep_freed_memory()
    try:
        app = make_app(arguments)
        shown = ["--help" if argument == EVERYTHING else argument for argument in arguments]
        app(shown, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(errors, _parse_error(error, arguments), 2, debug)
    except PalimpsestError as error:
        _fail(errors, str(error), 2, debug)
    except KeyboardInterrupt:
        _fail(errors, "Interrupted: the same command goes on from the last finished stage.", 130, debug)
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        _fail(
            errors,
            f"This is a bug in palimpsest ({type(error).__name__}: {error}): see it whole with --debug.",
            1,
            debug,
        )


def _fail(console: Console, sentence: str, code: int, debug: bool) -> None:
    LOGGER.error(sentence)
    if debug:
        console.print(Traceback())
    console.print(f"[bold red]Error[/bold red] {_escaped(sentence)}", highlight=False)
    sys.exit(code)


def _escaped(text: str) -> str:
    return escape_control_characters(text).replace("[", r"\[")


def _parse_error(error: CycloptsError, arguments: Sequence[str]) -> str:
    cause: Any = error.__cause__
    if isinstance(cause, ValidationError):
        return explain_validation(cause)
    for argument in arguments:
        renamed = new_name(argument) if argument.startswith("--") else None
        if renamed is not None:
            return f"The flag {argument.partition('=')[0]} was renamed: use {renamed}."
    return " ".join(str(error).split())
