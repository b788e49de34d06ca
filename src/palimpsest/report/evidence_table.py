"""The variables of the template of the evidence page, and its table of tests as text."""

from typing import Any

from palimpsest.report.evidence import QUESTIONS, build_evidence
from palimpsest.report.evidence_schema import Evidence, EvidenceLine, LineFinding, Question
from palimpsest.report.inputs import ReportInput
from palimpsest.report.risk import FORGETTING_RULES, RULES
from palimpsest.report.scores import number, percent
from palimpsest.report.verdict import Verdict

MOST_LINES = 14
"""The largest number of tests on the page, which must fit a printed page. `evidence.json` has all of them."""


def evidence_variables(
    page: ReportInput, verdict: Verdict, *, redact: bool = False, alone: bool = False
) -> dict[str, Any]:
    """Return the variables of the template of the evidence page, and of the report that begins with it.

    Args:
        page: The contents of the report page, already redacted if `redact` is set.
        verdict: The verdict of `judge` on the page.
        redact: Whether images, rows about single samples, paths, addresses and file names were left out.
        alone: Whether the evidence page is a file of its own, which has no image in any case.
    """
    evidence = build_evidence(page, verdict, redacted=redact)
    return {
        "evidence": evidence,
        "tests": table_groups(evidence, page.evidence),
        "left_out": max(0, len(evidence.tests) - MOST_LINES),
        "rules": RULES,
        "forgetting_rules": FORGETTING_RULES,
        "privacy": _privacy(page, redact=redact, alone=alone),
    }


def _privacy(page: ReportInput, *, redact: bool, alone: bool) -> tuple[str, str]:
    """Return a heading and sentences about who may receive the file."""
    one, data = page.noun_singular, page.noun
    if redact:
        plots = "" if alone else f" Its plots and tables describe all forgotten {data} together."
        return "Redacted.", (
            f"This file holds no image, no row about a single {one}, and no name of a file or machine.{plots}"
        )
    remedy = "To share the results, make a redacted one with"
    if alone:
        return "Keep this file private.", (
            f"It holds no {one}, but it may name files and machines. {remedy} palimpsest report --redact --evidence."
        )
    known = page.originals is not None or bool(page.truth_cells)
    shown = f"reconstructions of forgotten {data}"
    if known:
        shown = f"the forgotten {data} themselves and their reconstructions"
    return "Keep this file private.", (
        f"It contains {shown}, which may show people who asked to be forgotten. Store and share it under the same "
        f"rules as the training data. {remedy} palimpsest report --redact."
    )


def table_groups(evidence: Evidence, sent: str) -> list[tuple[str, list[dict[str, str]]]]:
    """Return the rows of the page's table, by question in words. Rows beyond `MOST_LINES` are left out.

    Args:
        evidence: The contents of the page.
        sent: The attacked artifacts, "proofs" or "gradients".
    """
    shown = shown_lines(evidence.tests)
    groups = [
        (QUESTIONS[question].format(sent), [_row(line) for line in shown if line.question is question])
        for question in Question
    ]
    return [(question, rows) for question, rows in groups if rows]


def shown_lines(lines: list[EvidenceLine]) -> list[EvidenceLine]:
    """Return the tests that the page shows, in their order: tests that are only for information yield to the others.

    Args:
        lines: All tests.
    """
    ranks = (LineFinding.FOUND, LineFinding.NOT_FOUND, LineFinding.NOT_FOUND_BEFORE)

    def rank(place: int) -> tuple[int, int]:
        finding = lines[place].finding
        last = len(ranks) + (finding is LineFinding.INFORMATION)
        return (ranks.index(finding) if finding in ranks else last), place

    kept = set(sorted(range(len(lines)), key=rank)[:MOST_LINES])
    return [line for place, line in enumerate(lines) if place in kept]


def _row(line: EvidenceLine) -> dict[str, str]:
    write = percent if line.share else number
    ends = line.result.interval
    return {
        "test": line.test,
        "result": write(line.result.value),
        "interval": f"{write(ends[0])} to {write(ends[1])}" if ends else "",
        "comparison": ", ".join(f"{name} {write(value.value)}" for name, value in line.comparisons.items()),
        "finding": line.finding.value,
        "kind": line.finding.name.lower().replace("_", "-"),
    }
