"""What people look at: one self-contained page for an audit."""

from palimpsest.report.inputs import ReportInput
from palimpsest.report.page import Page, load_page, render_page, write_page
from palimpsest.report.render import render_report
from palimpsest.report.samples import MOST_SAMPLES, SamplesInput, render_samples, told_of_samples
from palimpsest.report.unscored import UnscoredInput, render_unscored
from palimpsest.report.verdict import Level, Verdict, judge

__all__ = [
    "MOST_SAMPLES",
    "Level",
    "Page",
    "ReportInput",
    "SamplesInput",
    "UnscoredInput",
    "Verdict",
    "judge",
    "load_page",
    "render_page",
    "render_report",
    "render_samples",
    "render_unscored",
    "told_of_samples",
    "write_page",
]
