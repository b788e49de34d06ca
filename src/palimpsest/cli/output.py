"""Output of results as text for people and as JSON for programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from palimpsest.progress import JsonLines

if TYPE_CHECKING:
    from palimpsest import AuditResult, Comparison


def print_json(**values: Any) -> None:
    """Print a result as one line of JSON, in which NaN and infinity are null.

    Args:
        values: The keys and values of the result.
    """
    JsonLines(sys.stdout).write("result", **values)


def print_result(result: "AuditResult", *, quiet: bool, machine: bool) -> None:
    """Print the result of an audit or an attack.

    Args:
        result: The result.
        quiet: Print nothing, unless `machine` is set.
        machine: Print JSON instead of text.
    """
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
    """Print the table of a comparison.

    Args:
        comparison: The comparison.
        folder: The folder of its page.
        quiet: Print nothing, unless `machine` is set.
        machine: Print JSON instead of text.
    """
    page = folder / "comparison.html"
    if machine:
        print_json(page=str(page), runs=comparison.to_json())
    console = Console(soft_wrap=True, quiet=quiet or machine)
    console.print(comparison.to_markdown(), highlight=False, markup=False)
    console.print(f"Page: {page}", highlight=False, markup=False)
