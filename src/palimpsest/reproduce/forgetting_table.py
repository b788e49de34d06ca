"""Tables of the forgetting study as Markdown and JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from palimpsest.membership import TESTS
from palimpsest.metrics.roc import RATES, Detection
from palimpsest.reproduce.forgetting_rows import ForgettingRow
from palimpsest.reproduce.summary import bracket_note, format_estimate

_FORGETTING = (
    ("retained", "retained", ".1%"),
    ("forgotten", "forgotten", ".1%"),
    ("test", "test", ".1%"),
    ("relative distance", "relative distance", ".2f"),
    ("agreement", "agreement with retrained", ".1%"),
    ("divergence", "divergence (nats)", ".3f"),
    ("flagged", "differences from retrainings, of 6", ".1f"),
    ("relearn steps", "relearn steps", ".1f"),
    ("seconds", "seconds", ".1f"),
    ("relative seconds", "relative to retraining", ".2f"),
)
_FORGOTTEN = [(f"forgotten {name} AUC", test.title, ".3f") for name, test in TESTS.items()]
_RETAINED = [
    (f"retained {name} AUC", TESTS[name].title, ".3f") for name in ("yeom", "lira", "rmia", "u-lira")
]
_DETECTED = ("yeom", "lira", "rmia", "u-lira", "ruli", "update-aware", "update-lira")


def markdown(rows: Sequence[ForgettingRow], *, title: str, command: str, shadows: int) -> str:
    """Format the study as Markdown: four tables for each setting.

    Args:
        rows: Rows of all settings, in order.
        title: Title of the page.
        command: The command that reproduces the study.
        shadows: Number of shadow federations.
    """
    lines = [f"# {title}", "", f"    {command}", ""]
    for setting in dict.fromkeys(row.setting for row in rows):
        chosen = [row for row in rows if row.setting == setting]
        done = [row for row in chosen if row.seeds]
        lines += [f"## {setting}", ""]
        for heading, columns in (
            ("Forgetting", _FORGETTING),
            ("Membership of the forgotten samples: AUC", _FORGOTTEN),
            ("Membership of the retained samples: AUC", _RETAINED),
        ):
            lines += [f"{heading}:", "", *_table(done, columns), ""]
        lines += [
            "Forgotten samples found at a controlled false positive rate:",
            "",
            *_detections(done),
            "",
        ]
        lines += [_failure(row) for row in chosen if row.failure]
    seeds = sorted({seed for row in rows for seed in row.seeds})
    lines += [
        f"Seeds: {', '.join(map(str, seeds))}. Shadow federations: {shadows}.",
        *([bracket_note(len(seeds))] if seeds else []),
        "Found: share of the forgotten samples of all seeds together, with its exact 95 % interval over these "
        "samples. Chance: the false positive rate. An AUC of 0.5 is chance.",
        "",
    ]
    return "\n".join(lines)


def as_json(rows: Sequence[ForgettingRow], *, title: str, shadows: int) -> dict[str, Any]:
    """Return the study as plain values for JSON.

    Args:
        rows: Rows of all settings, in order.
        title: Title of the study.
        shadows: Number of shadow federations.
    """
    return {
        "title": title,
        "shadows": shadows,
        "cells": [
            {
                "name": f"{row.setting}/{row.method}",
                "setting": row.setting,
                "method": row.method,
                "seeds": list(row.seeds),
                "numbers": {name: asdict(number) for name, number in row.numbers.items()},
                "detections": {
                    name: [asdict(detection) for detection in found] for name, found in row.detections.items()
                },
                "exposed": list(row.exposed),
                "failure": row.failure,
            }
            for row in rows
        ],
    }


def _failure(row: ForgettingRow) -> str:
    """Return a paragraph about a row that is missing, or whose seeds are."""
    what = "is missing a seed" if row.seeds else "was not measured"
    return f"{row.method} {what}: {' '.join(row.failure.split())}\n"


def _table(rows: Sequence[ForgettingRow], columns: Sequence[tuple[str, str, str]]) -> list[str]:
    lines = [line(["model", *(heading for _, heading, _ in columns)]), line(["---"] * (1 + len(columns)))]
    return lines + [
        line(
            [
                row.method,
                *(format_estimate(row.numbers.get(name), form, missing="") for name, _, form in columns),
            ]
        )
        for row in rows
    ]


def _detections(rows: Sequence[ForgettingRow]) -> list[str]:
    heads = [f"{TESTS[name].title}, {rate:.1%}" for name in _DETECTED for rate in RATES]
    lines = [line(["model", *heads]), line(["---"] * (1 + len(heads)))]
    for row in rows:
        cells = list[str]()
        for name in _DETECTED:
            cells += [_detection(found) for found in row.detections.get(name, ())] or [""] * len(RATES)
        lines.append(line([row.method, *cells]))
    return lines


def _detection(detection: Detection) -> str:
    found = detection.found
    if found is None:
        return f"not measurable (needs {detection.needed:,} nonmembers)"
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def line(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
