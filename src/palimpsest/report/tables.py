"""The contents of the page's tables and key figures, as plain text."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from palimpsest.metrics import Estimate, ForgettingTest, Metrics, forgetting_table
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import SCORES, Score, change, count, format_score, number, percent
from palimpsest.report.verdict import Verdict
from palimpsest.report.worth import Cell

_BASELINES = {
    "mean_image": ("Mean image", "always answering with the mean auxiliary image"),
    "typical": (
        "Typical sample",
        "always answering with the mean auxiliary row, or with the most frequent token of each position",
    ),
    "nearest_auxiliary": (
        "Nearest auxiliary",
        "the auxiliary sample most similar to each original; no attacker can choose it without the originals",
    ),
}


def baseline_label(name: str) -> str:
    """Return the name of a baseline on the page."""
    return _BASELINES[name][0] if name in _BASELINES else name.replace("_", " ").capitalize()


def tiles(report: ReportInput, verdict: Verdict) -> list[tuple[str, str, str]]:
    """Return label, value and remark of each key figure."""
    metrics, found = report.metrics, verdict.identification
    assert found is not None, "this page has scored samples"
    usual = "mean_image" if "mean_image" in metrics.baselines else "typical"
    verification, federation = metrics.verification, metrics.federation
    result = [
        (
            SCORES["identification_top1"].label,
            percent(found.right / found.count),
            f"{count(found.right)} of {count(found.count)}; 95\N{NO-BREAK SPACE}% interval "
            f"{_interval(*found.interval)}; chance {percent(found.chance)}",
        )
    ]
    for name in ("mse", "psnr", "ssim", "lpips"):
        reading = metrics.score(name)
        if reading is not None:
            unit = f"\N{NO-BREAK SPACE}{SCORES[name].unit}" if SCORES[name].unit else ""
            closer = "lower" if SCORES[name].better == "low" else "higher"
            constant = baseline_label(usual).lower()
            remark = f"{closer} is closer; {constant} {number(metrics.baselines[usual].score(name))}{unit}"
            result.append((SCORES[name].label, number(reading.value) + unit, remark))
    if verification:
        accepted, total = verification.accepted, verification.count
        remark = _joined(f"{count(accepted)} of {count(total)}", _interval_of(metrics, "accepted"))
        result.append(("Proofs accepted", percent(accepted / total), remark))
    if federation:
        result.append(
            (
                "Test accuracy",
                percent(federation.unlearned_accuracy),
                _joined(
                    "after unlearning",
                    _interval_of(metrics, "accuracy_test_unlearned"),
                    _before(metrics, federation.original_accuracy),
                ),
            )
        )
    return result


def score_rows(metrics: Metrics) -> dict[str, Any]:
    """Return the table of scores, with a column for the attack, each baseline and chance, and its legend."""
    baselines = metrics.baselines
    rows, meanings = [], []
    # The metrics file describes registered metrics, because their package may no longer be installed.
    registered = {name: Score(**dict(meaning)) for name, meaning in metrics.metrics.items()}
    for name, score in (SCORES | registered).items():
        reading = metrics.score(name)
        if reading is None:
            continue
        meanings.append((score.label, score.meaning))
        interval = reading.interval
        rows.append(
            {
                "label": f"{score.label} ({score.unit})" if score.unit else score.label,
                "better": score.better,
                "ours": format_score(name, reading.value),
                "interval": f"{format_score(name, interval[0])} to {format_score(name, interval[1])}"
                if interval
                else "",
                "baselines": [_baseline(metrics, name, baseline) for baseline in baselines],
                "chance": format_score(name, reading.chance),
            }
        )
    meanings += [_BASELINES[name] for name in baselines if name in _BASELINES]
    return {"columns": [baseline_label(name) for name in baselines], "rows": rows, "meanings": meanings}


def _interval(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def _interval_of(metrics: Metrics, name: str) -> str:
    """Return the interval of a rate, or an empty text if the run has none."""
    rate = metrics.rates.get(name)
    return f"95\N{NO-BREAK SPACE}% interval {_interval(rate.low, rate.high)}" if rate else ""


def _before(metrics: Metrics, accuracy: float) -> str:
    """Return the accuracy before unlearning with its interval."""
    rate = metrics.rates.get("accuracy_test_original")
    ends = f" ({_interval(rate.low, rate.high)})" if rate else ""
    return f"{percent(accuracy)}{ends} before"


def _baseline(metrics: Metrics, name: str, baseline: str) -> Cell:
    """Return a baseline's score, with an interval if it is a share."""
    rate = metrics.rates.get(f"{name}_{baseline}")
    ends = _interval(rate.low, rate.high) if rate else ""
    return format_score(name, metrics.baselines[baseline].score(name)), ends


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def forgetting_rows(metrics: Metrics, samples: str) -> list[tuple[str, str, list[Cell]]]:
    """Return label, chance and values of each measure: before, after, change, and retrained from scratch if known.

    Args:
        metrics: The metrics of a run. If forgetting was not measured, there are no rows.
        samples: The kind of the samples, such as "images".
    """
    tests = forgetting_table(metrics)
    retrained = any(test.retrained for test in tests)
    rows = []
    for test in tests:
        write = percent if test.share else number
        cells = [_cell(test.original, write), _cell(test.unlearned, write), (_difference(test), "")]
        if retrained:
            cells.append(_cell(test.retrained, write))
        chance = "" if test.chance is None else write(test.chance)
        rows.append((test.label.replace("samples", samples), chance, cells))
    return rows


def _difference(test: ForgettingTest) -> str:
    if test.original is None:
        return ""
    before, after = test.original.value, test.unlearned.value
    return (
        f"{change(100 * before, 100 * after, digits=1)} points"
        if test.share
        else change(before, after, digits=3)
    )


def _cell(estimate: Estimate | None, write: Callable[[float | None], str]) -> Cell:
    if estimate is None:
        return write(None), ""
    ends = estimate.interval
    return write(estimate.value), f"{write(ends[0])} to {write(ends[1])}" if ends else ""


def configuration(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the sections of the configuration with their keys and values; top-level values come first."""
    general = [(key, _plain(value)) for key, value in config.items() if not _nested(value)]
    sections = [("general", general)]
    for key, value in config.items():
        if isinstance(value, Mapping):
            sections.append((key, [(name, _plain(below)) for name, below in value.items()]))
        elif _nested(value):
            sections += [
                (f"{key} {index}", [(name, _plain(below)) for name, below in part.items()])
                for index, part in enumerate(value, start=1)
            ]
    return sections


def _nested(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(part, Mapping) for part in value)
    )


def _plain(value: object) -> str:
    if value is None or (isinstance(value, str | list | tuple) and not value):
        return "none"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
