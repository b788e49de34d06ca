"""The report: one self-contained HTML page for each run, and the evidence page with which it begins."""

from palimpsest.report.aggregation import aggregation_notes
from palimpsest.report.evidence import build_evidence
from palimpsest.report.evidence_schema import Evidence
from palimpsest.report.gallery import order, sorting_score
from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import load_page, render_page, write_page
from palimpsest.report.render import render_evidence, render_report
from palimpsest.report.risk import Risk
from palimpsest.report.scores import number
from palimpsest.report.summary import Summary, summarize
from palimpsest.report.verdict import Level, Verdict, judge

__all__ = [
    "Evidence",
    "Level",
    "ReportInput",
    "Risk",
    "Summary",
    "Verdict",
    "aggregation_notes",
    "build_evidence",
    "judge",
    "load_page",
    "number",
    "order",
    "render_evidence",
    "render_page",
    "render_report",
    "sorting_score",
    "summarize",
    "write_page",
]
