"""The evidence page of a run: what was asked, tested and found, and the residual risk, on one printed page."""

from palimpsest.metrics import judge_forgetting
from palimpsest.report.evidence_lines import evidence_lines
from palimpsest.report.evidence_schema import Assessment, Evidence, Question
from palimpsest.report.inputs import ReportInput
from palimpsest.report.risk import COMBINED, FORGETTING_RULES, RULES, combined
from palimpsest.report.summary import Summary, summarize
from palimpsest.report.verdict import Verdict

QUESTIONS = {
    Question.DISCLOSURE: "What do the {} reveal?",
    Question.FORGETTING: "Has the model forgotten?",
    Question.VERIFICATION: "What does an accepted proof show?",
}
"""The three questions in words; the braces stand for proofs or gradients."""


def build_evidence(page: ReportInput, verdict: Verdict, *, redacted: bool = False) -> Evidence:
    """Collect everything that the evidence page shows, and the numbers behind it.

    Args:
        page: The contents of the report page, already redacted if `redacted` is set.
        verdict: The verdict of `judge` on the page.
        redacted: Whether paths, addresses and file names were left out.
    """
    summary = summarize(page)
    return Evidence(
        title=page.title,
        finished=page.finished,
        redacted=redacted,
        request=dict(page.facts),
        sha256=dict(page.hashes),
        versions=dict(page.versions),
        risk=combined(summary.risk, summary.forgetting_risk),
        rule=COMBINED,
        disclosure=_disclosure(page, summary),
        forgetting=_forgetting(page, summary),
        damage=summary.damage,
        next_steps=list(summary.steps),
        tests=evidence_lines(page.metrics, samples=page.noun),
        not_tested=list(summary.untested),
        headline=verdict.headline,
        findings=list(verdict.findings),
        notes=list(page.notes),
        configuration=dict(page.config),
        metrics=page.metrics.tree(),
    )


def _disclosure(page: ReportInput, summary: Summary) -> Assessment:
    return Assessment(
        question=QUESTIONS[Question.DISCLOSURE].format(page.evidence),
        risk=summary.risk,
        rule=RULES[summary.risk],
        conclusion=list(summary.sentences),
        reasons=page.verdict.reasons,
    )


def _forgetting(page: ReportInput, summary: Summary) -> Assessment:
    return Assessment(
        question=QUESTIONS[Question.FORGETTING],
        risk=summary.forgetting_risk,
        rule=FORGETTING_RULES[summary.forgetting_risk],
        conclusion=[summary.forgetting],
        reasons=list(judge_forgetting(page.metrics).reasons),
    )
