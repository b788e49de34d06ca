"""The parts of a page that its template lays out."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from palimpsest.report.bounds import NOT_COVERED, bound_sentences
from palimpsest.report.evidence_table import evidence_variables
from palimpsest.report.gallery import build_gallery, class_name, encode_images, examples, sorting_score
from palimpsest.report.groups import group_tables
from palimpsest.report.inputs import ReportInput
from palimpsest.report.membership import membership_plots, membership_rows, membership_sentences
from palimpsest.report.scores import PER_IMAGE, SCORES, number
from palimpsest.report.tables import baseline_label, configuration, forgetting_rows, score_rows, tiles
from palimpsest.report.verdict import Verdict
from palimpsest.report.worth import attacker_rows, soundness_rows

if TYPE_CHECKING:
    from palimpsest.report.figures import Plot

MOST_IMAGES = 600
"""The largest number of images without scores on the page. The run folder holds all of them."""


def page_contents(page: ReportInput, verdict: Verdict, *, redact: bool) -> dict[str, Any]:
    """Return the variables of the template.

    Args:
        page: The contents of the page, already redacted if `redact` is set.
        verdict: The verdict of `judge` on the page.
        redact: Leave out every image and every row about a single sample.
    """
    scored = page.metrics.reconstruction is not None
    return {
        "report": page,
        "redact": redact,
        "scored": scored,
        "images": page.originals is not None,
        "verdict": verdict,
        **evidence_variables(page, verdict, redact=redact),
        "tiles": tiles(page, verdict) if scored else [],
        "groups": group_tables(page, redact=redact) if scored else [],
        "score_rows": score_rows(page.metrics) if scored else None,
        "absent": {
            SCORES[name].label if name in SCORES else name: why.rstrip(".")
            for name, why in page.absent.items()
        },
        "figures": _figures(page),
        "attackers": attacker_rows(page.metrics),
        "bounds": bound_sentences(page.metrics),
        "not_covered": NOT_COVERED,
        "soundness": soundness_rows(page.metrics),
        "forgetting": forgetting_rows(page.metrics, page.noun),
        "membership": membership_rows(page.metrics),
        "membership_sentences": membership_sentences(page.metrics, page.noun),
        "configuration": configuration(page.config),
        **({} if redact else _samples(page)),
    }


def _samples(page: ReportInput) -> dict[str, Any]:
    """Return the images of the page; samples of other kinds are in the page itself."""
    if page.originals is not None:
        return _scored_images(page)
    if page.cells:
        return {}
    shown = page.reconstructions[:MOST_IMAGES]
    return {"unscored_images": encode_images(shown), "size": list(page.reconstructions.shape[-2:])}


def _scored_images(page: ReportInput) -> dict[str, Any]:
    gallery, (_, labels) = build_gallery(page), page.truth
    name = sorting_score(page.per_image)
    position_of = {row: position for position, row in enumerate(gallery["rows"])}
    groups = [
        (
            group,
            [
                {
                    "row": row,
                    "class": class_name(page, int(labels[row])),
                    "value": number(page.per_image[name][row].item()),
                    "original": gallery["originals"][position_of[row]],
                    "reconstruction": gallery["reconstructions"][position_of[row]],
                }
                for row in rows
            ],
        )
        for group, rows in examples(name, page.per_image[name]).items()
    ]
    return {"gallery": gallery, "examples": groups, "example_score": PER_IMAGE[name]}


def _figures(page: ReportInput) -> "dict[str, list[Plot]]":
    # Imported late, because Matplotlib takes half a second to import.
    from palimpsest.report import bracket, figures

    verification = page.metrics.verification
    owners = set() if page.owners is None else set(page.owners.tolist())
    return {
        "scores": _score_figures(page) if page.originals is not None else [],
        "bounds": bracket.bracket_plots(page.metrics),
        "membership": membership_plots(page.membership_curves),
        "training": figures.training_curves(page.history),
        "norms": []
        if page.norms is None or verification is None
        else [figures.norm_histogram(page.norms, verification.tau)],
        "participation": [figures.participation_bars(page.participation, owners)]
        if len(page.participation) > 1
        else [],
    }


def _score_figures(page: ReportInput) -> "list[Plot]":
    from palimpsest.report import figures

    plots = [
        figures.score_histogram(
            name,
            page.per_image[name],
            {
                baseline_label(label).lower(): value
                for label, values in page.metrics.baselines.items()
                if (value := values.score(name)) is not None
            },
        )
        for name in PER_IMAGE
        if name in page.per_image and name != "rank"
    ]
    if "rank" in page.per_image:
        plots.append(figures.identification_curve(page.per_image["rank"]))
    return plots


def as_json_block(value: Mapping[str, Any]) -> str:
    """Return JSON that is safe inside a script element.

    Args:
        value: Plain values without NaN and infinity.
    """
    # Only "<" and "&" could end a script element or begin a comment in it; ">" is escaped for symmetry.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
