"""The commands together, and what their failures look like."""

import os
import sys
from typing import Any

from cyclopts import App, CycloptsError
from pydantic import ValidationError
from rich.console import Console
from rich.traceback import Traceback

from palimpsest.cli.attack import attack
from palimpsest.cli.audit import audit
from palimpsest.cli.compare import compare
from palimpsest.cli.defend import defend
from palimpsest.cli.doctor import doctor
from palimpsest.cli.presets import presets
from palimpsest.cli.prove import prove
from palimpsest.cli.purge import purge
from palimpsest.cli.report import report
from palimpsest.cli.reproduce import app as reproduce
from palimpsest.cli.runs import runs
from palimpsest.cli.sweep import sweep
from palimpsest.cli.verify import verify
from palimpsest.config import explain_validation
from palimpsest.display import printable
from palimpsest.errors import PalimpsestError
from palimpsest.system.memory import keep_freed_memory

app = App(
    name="palimpsest",
    help="Measure how much of the data that a federation has unlearned can still be read.",
    help_epilogue="For auditing your own federation and for research.",
    version_flags=["--version"],
)
for _command in (
    audit,
    attack,
    prove,
    defend,
    verify,
    doctor,
    report,
    runs,
    compare,
    sweep,
    reproduce,
    presets,
    purge,
):
    app.command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 for what its user can put right, 1 for a bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    errors = Console(stderr=True, soft_wrap=True)
    debug = "--debug" in arguments
    # The process is the command line's own: no host's allocator is retuned.
    keep_freed_memory()
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(errors, _parse_error(error), 2, debug)
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
    if debug:
        console.print(Traceback())
    console.print(f"[bold red]Error[/bold red] {_escaped(sentence)}", highlight=False)
    sys.exit(code)


def _escaped(text: str) -> str:
    return printable(text).replace("[", r"\[")


def _parse_error(error: CycloptsError) -> str:
    cause: Any = error.__cause__
    if isinstance(cause, ValidationError):
        return explain_validation(cause)
    return " ".join(str(error).split())
