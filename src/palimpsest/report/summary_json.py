"""The summary, the findings and the metrics of a run as plain values."""

from typing import Any

from palimpsest.report.inputs import ReportInput
from palimpsest.report.redaction import redacted
from palimpsest.report.summary import RULES, summarize
from palimpsest.report.verdict import judge


def summary_tree(page: ReportInput, *, redact: bool = False) -> dict[str, Any]:
    """Return what the page shows apart from samples, as values for JSON.

    Args:
        page: The contents of the page.
        redact: Leave out every path, address and file name.
    """
    if redact:
        page = redacted(page)
    summary, verdict = summarize(page), judge(page)
    return {
        "title": page.title,
        "finished": page.finished,
        "versions": dict(page.versions),
        "sha256": dict(page.hashes),
        "risk": summary.risk.value,
        "rule": RULES[summary.risk],
        "conclusion": list(summary.sentences),
        "damage": summary.damage,
        "next_steps": list(summary.steps),
        "not_tested": list(summary.untested),
        "headline": verdict.headline,
        "findings": list(verdict.findings),
        "notes": list(page.notes),
        "configuration": dict(page.config),
        "metrics": page.metrics.tree(),
    }
