"""What a command prints for machines."""

import sys
from typing import Any

from palimpsest.pipeline.results.result import AuditResult
from palimpsest.progress import JsonLines


def print_json(**values: Any) -> None:
    """The result as the last line of JSON; numbers that are none become null."""
    JsonLines(sys.stdout).write("result", **values)


def print_result(result: AuditResult) -> None:
    """An audit's or an attack's."""
    print_json(
        folder=str(result.folder),
        report=str(result.report),
        verdict=result.verdict.splitlines(),
        metrics=result.metrics.tree(),
    )
