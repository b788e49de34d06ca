"""Render a `ReportInput` as one self-contained HTML page."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from palimpsest.report.gallery import build_gallery, class_name, examples, sorting_score
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import PER_IMAGE, SCORES, count, duration, format_score, number, percent
from palimpsest.report.tables import baseline_label, configuration, forgetting_rows, score_rows, tiles
from palimpsest.report.verdict import Verdict
from palimpsest.report.worth import attacker_rows, soundness_rows

if TYPE_CHECKING:
    from palimpsest.report.figures import Plot


def render_report(report: ReportInput, verdict: Verdict, *, redact: bool = False) -> str:
    """Render the page of an audit: one file that loads nothing and is readable without JavaScript.

    Args:
        report: The contents of the page.
        verdict: The verdict of `judge` on the page.
        redact: Leave out every image and every row about a single sample, for readers who may not see them.

    Returns:
        A whole HTML document. Unless it is redacted, it holds the forgotten images and needs
        the same protection.
    """
    if redact:
        report = _without_samples(report)
    style, script = asset("report.css"), asset("theme.js") + asset("report.js")
    return template("report.html").render(
        report=report,
        redact=redact,
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        verdict=verdict,
        facts=report.facts,
        tiles=tiles(report, verdict),
        score_rows=score_rows(report.metrics),
        absent={
            SCORES[name].label if name in SCORES else name: why.rstrip(".")
            for name, why in report.absent.items()
        },
        figures=_figures(report),
        attackers=attacker_rows(report.metrics),
        soundness=soundness_rows(report.metrics),
        forgetting=forgetting_rows(report.metrics),
        configuration=configuration(report.config),
        **({} if redact else _images(report)),
    )


def _without_samples(report: ReportInput) -> ReportInput:
    indices = (report.config.get("unlearning") or {}).get("indices")
    if not indices:
        return report
    # The list of forgotten rows reveals who was forgotten.
    hidden = f"{len(indices)} indices, left out"
    config = {**report.config, "unlearning": {**report.config["unlearning"], "indices": hidden}}
    config_yaml = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return replace(
        report,
        config=config,
        config_yaml=config_yaml,
        command="left out, because it names the forgotten samples",
    )


def _images(report: ReportInput) -> dict[str, Any]:
    gallery, (_, labels) = build_gallery(report), report.truth
    name = sorting_score(report.per_image)
    position_of = {row: position for position, row in enumerate(gallery["rows"])}
    score = PER_IMAGE[name]
    groups = [
        (
            group,
            [
                {
                    "row": row,
                    "class": class_name(report, int(labels[row])),
                    "value": number(report.per_image[name][row].item()),
                    "original": gallery["originals"][position_of[row]],
                    "reconstruction": gallery["reconstructions"][position_of[row]],
                }
                for row in rows
            ],
        )
        for group, rows in examples(name, report.per_image[name]).items()
    ]
    return {"gallery": gallery, "examples": groups, "example_score": score}


def _figures(report: ReportInput) -> "dict[str, list[Plot]]":
    # Imported late, because Matplotlib takes half a second to import.
    from palimpsest.report import figures

    baselines, verification = report.metrics.baselines, report.metrics.verification
    scores = [
        figures.score_histogram(
            name,
            report.per_image[name],
            {
                baseline_label(label).lower(): value
                for label, values in baselines.items()
                if (value := values.score(name)) is not None
            },
        )
        for name in PER_IMAGE
        if name in report.per_image and name != "rank"
    ]
    if "rank" in report.per_image:
        scores.append(figures.identification_curve(report.per_image["rank"]))
    owners = set() if report.owners is None else set(report.owners.tolist())
    return {
        "scores": scores,
        "training": figures.training_curves(report.history),
        "norms": []
        if report.norms is None or verification is None
        else [figures.norm_histogram(report.norms, verification.tau)],
        "participation": [figures.participation_bars(report.participation, owners)]
        if len(report.participation) > 1
        else [],
    }


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
    # Only "<" and "&" could end a script element or begin a comment in it; ">" is escaped for symmetry.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


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
