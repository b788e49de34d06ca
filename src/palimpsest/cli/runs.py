"""`palimpsest runs`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from palimpsest.cli.options import Debug
from palimpsest.cli.printable import printable


def runs(folder: Path = Path("runs"), *, debug: Debug = False) -> None:
    """List the runs under a folder: what each was, and what came out.

    Parameters
    ----------
    folder
        Where to look.
    """
    from palimpsest.comparison import COLUMNS, find_runs, read_run
    from palimpsest.errors import RunError

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "data", "defences", "attack", "MSE", "told apart", "seconds"):
        table.add_column(heading, overflow="fold", min_width=24 if heading == "run" else None)
    columns = {column.name: column for column in COLUMNS}
    found = 0
    for path in find_runs(folder):
        found += 1
        try:
            run = read_run(path)
        except RunError as error:
            table.add_row(printable(str(path)), *[""] * 5, printable(str(error)))
            continue
        numbers = [
            f"{run.values[name]:{columns[name].form}}" if name in run.values else ""
            for name in ("mse", "top1")
        ]
        name = path.relative_to(folder) if path != folder else path
        table.add_row(
            printable(str(name)),
            *(printable(run.what[key]) for key in ("data", "defences", "attack")),
            *numbers,
            f"{run.seconds:,.0f}" if run.finished else "stopped",
        )
    console = Console()
    if found:
        console.print(table)
    else:
        console.print(
            f"There is no run under {folder}: `palimpsest audit` makes one.", highlight=False, markup=False
        )
