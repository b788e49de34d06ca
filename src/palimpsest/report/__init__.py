"""What people look at: one self-contained page for an audit."""

from palimpsest.report.inputs import ReportInput
from palimpsest.report.render import render_report
from palimpsest.report.verdict import Level, Verdict, judge

__all__ = ["Level", "ReportInput", "Verdict", "judge", "render_report"]
