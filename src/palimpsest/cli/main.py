"""The app with all commands, and the presentation of their errors.

A command is imported when the command line names it, so that the list of commands and the version appear at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError
from rich.console import Console

from palimpsest.cli.contents import (
    COMMAND_FORMAT,
    COMMANDS,
    CONFIGURED,
    EVERYTHING,
    REPRODUCE,
    import_command,
    import_path,
)
from palimpsest.display import escape_control_characters
from palimpsest.distribution import palimpsest_version
from palimpsest.errors import PalimpsestError

_RESUMED = ("audit", "attack", "sweep", REPRODUCE)
_INSTALL_COMPLETION = "--install-completion"


def make_app(arguments: Sequence[str] | None = None) -> App:
    """Build the app, whose commands have a flag for every key of their configurations.

    Args:
        arguments: A command line. Only its command is imported and gets flags, and its help shows those of the
            components that the command line selects. If None, every command gets all flags, and help shows all of them.

    Raises:
        ConfigurationError: A module that the command line imports can't be imported.
    """
    app = App(
        name="palimpsest",
        help="Measure how much of the data that a federation has unlearned can still be read.",
        help_epilogue="For auditing your own federation and for research.",
        # Plain text, which needs no parser of Markdown; the help of a command is Markdown.
        help_format="rich",
        version=palimpsest_version,
        version_flags=["--version"],
        # `main` explains an interruption.
        suppress_keyboard_interrupt=False,
    )
    app.register_install_completion_command(_INSTALL_COMPLETION)
    if arguments is not None and _names_a_command(arguments):
        from palimpsest.cli.selection import import_named_modules

        import_named_modules(arguments)
    for name, summary in COMMANDS.items():
        if arguments is None or name in arguments:
            _add(app, import_command(name), name, name, arguments)
        else:
            app.command(import_path(name), name=name, help=summary, help_format=COMMAND_FORMAT)
    tables = App(
        name=REPRODUCE,
        help="Reproduce a published table or figure; finished cells are not recomputed.",
        help_format=COMMAND_FORMAT,
    )
    app.command(tables)
    if arguments is None or REPRODUCE in arguments:
        from palimpsest.cli.reproduce import reproduce_commands

        for name, command in reproduce_commands().items():
            _add(tables, command, name, REPRODUCE, arguments)
    return app


def _names_a_command(arguments: Sequence[str]) -> bool:
    return any(name in arguments for name in (*COMMANDS, REPRODUCE))


def _add(
    app: App, command: Callable[..., Any], name: str, kind: str, arguments: Sequence[str] | None
) -> None:
    """Add an imported command to the app, with flags if it has a configuration and the command line calls it."""
    if kind not in CONFIGURED or (arguments is not None and name not in arguments):
        app.command(command, name=name, help_format=COMMAND_FORMAT)
        return
    from palimpsest.cli.configured import add_configured

    add_configured(app, command, name, kind, arguments)


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
    try:
        _run(arguments)
    except CycloptsError as error:
        from palimpsest.cli.configured import explain_parse_error

        _fail(errors, explain_parse_error(error, _command(arguments), arguments), 2, debug)
    except PalimpsestError as error:
        _fail(errors, str(error), 2, debug)
    except KeyboardInterrupt:
        _fail(errors, _interruption(arguments), 130, debug)
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does. Python would report the error again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # What a list would still print is no loss, but a run that stops here is not finished.
        sys.exit(141 if _command(arguments) in CONFIGURED else 0)
    except Exception as error:
        _fail(
            errors,
            f"This is a bug in palimpsest ({type(error).__name__}: {error}). Run with --debug to see the traceback.",
            1,
            debug,
        )


def _run(arguments: Sequence[str]) -> None:
    """Parse and run a command line, and print everything before returning."""
    if _names_a_command(arguments):
        from palimpsest.system.memory import keep_freed_memory

        # The command line owns its process, so no host program's allocator is changed.
        keep_freed_memory()
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
    from palimpsest.progress import LOGGER

    LOGGER.error(sentence)
    if debug:
        from rich.traceback import Traceback

        console.print(Traceback())
    console.print(f"[bold red]Error[/bold red] {_escaped(sentence)}", highlight=False)
    sys.exit(code)


def _escaped(text: str) -> str:
    # A message may have several lines, such as a table of names; nothing else commands the terminal.
    return "\n".join(escape_control_characters(line) for line in text.split("\n")).replace("[", r"\[")
