"""What a command prints for machines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from palimpsest.progress import JsonLines

if TYPE_CHECKING:
    from palimpsest import AuditResult, Comparison


def print_json(**values: Any) -> None:
    """The result as the last line of JSON; numbers that are none become null."""
    JsonLines(sys.stdout).write("result", **values)


def print_result(result: "AuditResult", *, quiet: bool, machine: bool) -> None:
    """The result of an audit or an attack."""
    if machine:
        print_json(
            folder=str(result.folder),
            report=str(result.report),
            verdict=result.verdict.splitlines(),
            metrics=result.metrics.tree(),
        )
    elif not quiet:
        Console(soft_wrap=True).print(f"\n{result.verdict}\n\nReport: {result.report}", highlight=False)


def print_comparison(
    comparison: "Comparison", *, folder: Path, quiet: bool = False, machine: bool = False
) -> None:
    """The table of a comparison whose page is in a folder."""
    page = folder / "comparison.html"
    if machine:
        print_json(page=str(page), runs=comparison.to_json())
    console = Console(soft_wrap=True, quiet=quiet or machine)
    console.print(comparison.to_markdown(), highlight=False, markup=False)
    console.print(f"Page: {page}", highlight=False, markup=False)
