"""Comparison of runs: their settings and scores as a table and as a page."""

from palimpsest.comparison.columns import (
    COLUMNS,
    Column,
    Read,
    read_accuracy,
    read_error_bound,
    read_linkage,
    read_linkage_bound,
    score_column,
)
from palimpsest.comparison.run_summary import ComparedRun, find_runs, read_run
from palimpsest.comparison.table import (
    as_csv,
    as_json,
    as_markdown,
    format_cell,
    format_parts,
    run_names,
    varying_keys,
)

__all__ = [
    "COLUMNS",
    "Column",
    "ComparedRun",
    "Read",
    "as_csv",
    "as_json",
    "as_markdown",
    "find_runs",
    "format_cell",
    "format_parts",
    "read_accuracy",
    "read_error_bound",
    "read_linkage",
    "read_linkage_bound",
    "read_run",
    "run_names",
    "score_column",
    "varying_keys",
]
