"""The report: one self-contained HTML page for each run."""

from palimpsest.report.gallery import order, sorting_score
from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import load_page, render_page, write_page
from palimpsest.report.render import render_report
from palimpsest.report.scores import number
from palimpsest.report.summary import Risk, Summary, summarize
from palimpsest.report.verdict import Level, Verdict, judge

__all__ = [
    "Level",
    "ReportInput",
    "Risk",
    "Summary",
    "Verdict",
    "judge",
    "load_page",
    "number",
    "order",
    "render_page",
    "render_report",
    "sorting_score",
    "summarize",
    "write_page",
]
