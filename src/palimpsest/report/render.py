"""Render a `ReportInput` as one self-contained HTML page: the whole report, or the evidence page alone."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from palimpsest.report.contents import as_json_block, page_contents
from palimpsest.report.evidence_table import evidence_variables
from palimpsest.report.inputs import ReportInput
from palimpsest.report.redaction import redacted
from palimpsest.report.scores import count, duration, format_score, number, percent
from palimpsest.report.verdict import Verdict, judge


def render_report(page: ReportInput, verdict: Verdict, *, redact: bool = False) -> str:
    """Render the page of a run: one file that loads nothing and is readable without JavaScript.

    Args:
        page: The contents of the page.
        verdict: The verdict of `judge` on the page.
        redact: Leave out every image, every row about a single sample, and every path, address and file name, for
            readers who may not see them.

    Returns:
        A whole HTML document. Unless it is redacted, it holds the forgotten samples or their reconstructions and needs
        the same protection.
    """
    if redact:
        page = redacted(page)
        verdict = judge(page)
    style, script = asset("report.css"), asset("theme.js") + asset("report.js")
    return template("report.html").render(
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        **page_contents(page, verdict, redact=redact),
    )


def render_evidence(page: ReportInput, verdict: Verdict, *, redact: bool = False) -> str:
    """Render the evidence page of a run, the first section of its report, as a file that prints on one page.

    Args:
        page: The contents of the report page.
        verdict: The verdict of `judge` on the page.
        redact: Leave out every path, address and file name.

    Returns:
        A whole HTML document without images and rows about single samples.
    """
    if redact:
        page = redacted(page)
        verdict = judge(page)
    style, script = asset("report.css"), asset("theme.js")
    return template("evidence.html").render(
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        **evidence_variables(page, verdict, redact=redact, alone=True),
    )


def content_policy(style: str, script: str) -> str:
    """Return a content security policy that allows this style and this script, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


@cache
def asset(name: str) -> str:
    """Return a file of this package as text."""
    return files("palimpsest.report").joinpath(name).read_text(encoding="utf-8")


def _json_block(value: Mapping[str, Any]) -> Markup:
    return Markup(as_json_block(value))


def _durations(seconds: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(stage, duration(value)) for stage, value in seconds.items()]


def template(name: str) -> Template:
    """Return a template of this package."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("palimpsest.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "durations": _durations,
        "number": number,
        "percent": percent,
        "duration": duration,
        "format_score": format_score,
        "json_block": _json_block,
    }
    return environment
