"""The command line: parse, call, print."""

import inspect
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.traceback import Traceback

from palimpsest.config import explain_validation, preset_names, read_config
from palimpsest.errors import PalimpsestError, ReproductionError
from palimpsest.overrides import given_keys, override_model
from palimpsest.progress import live_progress
from palimpsest.reproduce.catalog import STUDIES
from palimpsest.reproduce.study import Study

_Overrides = override_model()
_Debug = Annotated[bool, Parameter(negative="", help="Show a traceback with an error.")]

_SEVERAL = Parameter(negative="", consume_multiple=True)

app = App(
    name="palimpsest",
    help="Measure how much of the data that a federation has unlearned can still be read.",
    help_epilogue="For auditing your own federation and for research.",
    version_flags=["--version"],
)


@app.command
def audit(
    preset: str = "digits",
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    replace: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    debug: _Debug = False,
    overrides: Annotated[_Overrides | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
) -> None:
    """Train a federation, unlearn, prove, defend, verify, attack, score and report.

    A run that was killed goes on, with the same command, from its last finished stage.

    Parameters
    ----------
    preset
        A preset's name (see `palimpsest presets`) or the path of a YAML file.
    out
        The run folder; by default it is under runs/ and named after the preset and a hash of the configuration.
    data_dir
        A folder that mirrors the data sets under the hub's names; what it lacks comes from the hub.
    replace
        Go on in a run folder that holds another configuration, keeping the stages that are the same.
    quiet
        Print nothing but errors.
    """
    from palimpsest.audit import audit as run_audit
    from palimpsest.audit import default_folder

    config = read_config(preset, given_keys(overrides))
    folder = out or default_folder(preset, config)
    console = Console(quiet=quiet, soft_wrap=True)
    with live_progress(console):
        result = run_audit(
            config, out=folder, data_dir=data_dir, replace=replace, console=console, command=_command_line()
        )
    console.print(f"\n{result.verdict}\n\nReport: {result.folder / 'report.html'}", highlight=False)


@app.command
def presets() -> None:
    """List the presets: a line each, with the paper's table and row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("preset", "what it is", "paper"):
        table.add_column(title, overflow="fold", no_wrap=title == "preset")
    for name in preset_names():
        config = read_config(name)
        table.add_row(name, config.description, config.paper)
    Console().print(table)


reproduce = App(
    name="reproduce", help="Make a published table or figure again; finished cells are not computed twice."
)
app.command(reproduce)


@reproduce.command
def forgetting(
    preset: str = "cifar10-convnet-retrain-sample",
    *,
    out: Path = Path("runs/forgetting"),
    data_dir: Path | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
    debug: _Debug = False,
    overrides: Annotated[_Overrides | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
) -> None:
    """Compare the unlearning methods: accuracies, membership inference, distance to retraining, seconds.

    Parameters
    ----------
    preset
        Data, model, federation and what is forgotten; see `palimpsest audit`.
    out
        The folder of the table and of each method's run.
    data_dir
        A folder that mirrors the data sets under the hub's names.
    quiet
        Print nothing but errors.
    """
    from palimpsest.reproduce import forgetting_table

    console = Console(quiet=quiet, soft_wrap=True)
    with live_progress(console):
        forgetting_table(
            read_config(preset, given_keys(overrides)), out=out, data_dir=data_dir, console=console
        )
    console.print(f"\n{(out / 'forgetting.md').read_text()}", highlight=False)


def _add_study(study: Study) -> None:
    """The command `palimpsest reproduce <study>`."""

    def command(
        *,
        out: Path | None = None,
        data_dir: Path | None = None,
        cells: Annotated[list[str] | None, _SEVERAL] = None,
        seeds: Annotated[list[int] | None, _SEVERAL] = None,
        quiet: Annotated[bool, Parameter(negative="")] = False,
        debug: _Debug = False,
        overrides: Annotated[_Overrides | None, Parameter(name="*")] = None,  # type: ignore[valid-type]
    ) -> None:
        """Run the cells and write the table and its picture; a cell that is finished is not computed twice.

        Parameters
        ----------
        out
            The folder of the table and of each cell's runs; by default it is under runs/.
        data_dir
            A folder that mirrors the data sets under the hub's names.
        cells
            Only cells of these names, in which * stands for anything.
        seeds
            The seeds of the repeats, in place of --seed; with more than one, means and their intervals are told.
        quiet
            Print nothing but errors.
        """
        from palimpsest.reproduce import reproduce as run_study

        folder, asked = out or Path("runs") / study.name, given_keys(overrides)
        console = Console(quiet=quiet, soft_wrap=True)
        with live_progress(console):
            summaries = run_study(
                study,
                out=folder,
                cells=cells or (),
                seeds=seeds or (asked.get("seed", 1234),),
                overrides=asked,
                data_dir=data_dir,
                console=console,
                command=_command_line(),
            )
        console.print(f"\n{(folder / f'{study.name}.md').read_text()}", highlight=False, markup=False)
        failed = [summary for summary in summaries if summary.failure]
        if failed:
            raise ReproductionError(
                f"{len(failed)} of {len(summaries)} cells could not be computed, the first one, {failed[0].cell.name}, "
                f"because: {failed[0].failure}"
            )

    command.__doc__ = f"{study.title} ({study.source}).\n\n{inspect.cleandoc(command.__doc__ or '')}"
    reproduce.command(command, name=study.name)


for _study in STUDIES.values():
    _add_study(_study)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 for what its user can put right, 1 for a bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    errors = Console(stderr=True, soft_wrap=True)
    debug = "--debug" in arguments
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(errors, _parse_error(error), 2, debug)
    except PalimpsestError as error:
        _fail(errors, str(error), 2, debug)
    except KeyboardInterrupt:
        _fail(errors, "Interrupted: the same command goes on from the last finished stage.", 130, debug)
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
    return text.replace("[", r"\[")


def _parse_error(error: CycloptsError) -> str:
    cause: Any = error.__cause__
    if isinstance(cause, ValidationError):
        return explain_validation(cause)
    return " ".join(str(error).split())


def _command_line() -> str:
    return shlex.join(["palimpsest", *sys.argv[1:]])


if __name__ == "__main__":
    main()
