"""The report: one self-contained HTML page for each run."""

from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import load_page, render_page, write_page
from palimpsest.report.render import render_report
from palimpsest.report.samples import MOST_SAMPLES, render_samples
from palimpsest.report.scores import number
from palimpsest.report.unscored import render_unscored
from palimpsest.report.verdict import Level, Verdict, judge

__all__ = [
    "MOST_SAMPLES",
    "Level",
    "ReportInput",
    "Verdict",
    "judge",
    "load_page",
    "number",
    "render_page",
    "render_report",
    "render_samples",
    "render_unscored",
    "write_page",
]
