"""What people look at: one self-contained page for an audit."""

from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import Page, load_page, render_page, write_page
from palimpsest.report.render import render_report
from palimpsest.report.unscored import UnscoredInput, render_unscored
from palimpsest.report.verdict import Level, Verdict, judge

__all__ = [
    "Level",
    "Page",
    "ReportInput",
    "UnscoredInput",
    "Verdict",
    "judge",
    "load_page",
    "render_page",
    "render_report",
    "render_unscored",
    "write_page",
]
