"""Rows and tiles of the page, as plain text by column."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from palimpsest.metrics import Forgetting, Metrics, Rate
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import SCORES, Score, change, count, number, percent, written
from palimpsest.report.verdict import Verdict

_FORGETTING = {
    "accuracy_retained": ("Accuracy on retained images", True),
    "accuracy_forgotten": ("Accuracy on forgotten images", True),
    "accuracy_test": ("Accuracy on test images", True),
    "membership_auc": ("Membership inference, AUC", False),
    "membership_tpr": ("Members found at 1 % false alarms", True),
}

_BASELINES = {
    "mean_image": ("Mean image", "the mean auxiliary image as the answer to everything"),
    "typical": (
        "Typical sample",
        "the mean auxiliary row, or each place's commonest token, as the answer to everything",
    ),
    "nearest_auxiliary": (
        "Nearest auxiliary",
        "for each original the auxiliary sample most like it; no attacker can choose so well",
    ),
}


def baseline_label(name: str) -> str:
    """How a baseline is called on the page."""
    return _BASELINES[name][0] if name in _BASELINES else name.replace("_", " ").capitalize()


def tiles(report: ReportInput, verdict: Verdict) -> list[tuple[str, str, str]]:
    """Label, value and remark of each key figure."""
    metrics, found = report.metrics, verdict.identification
    assert found is not None, "this page is of scored images"
    mean_image = metrics.baselines["mean_image"]
    verification, federation = metrics.verification, metrics.federation
    result = [
        (
            "Told apart",
            percent(found.right / found.count),
            f"{count(found.right)} of {count(found.count)}; {_reach(*found.interval)}; chance "
            f"{percent(found.chance)}",
        )
    ]
    for name in ("mse", "psnr", "ssim", "lpips"):
        reading = metrics.score(name)
        if reading is not None:
            unit = " dB" if name == "psnr" else ""
            remark = f"mean image {number(mean_image.score(name))}{unit}"
            result.append((SCORES[name].label, number(reading.value) + unit, remark))
    if verification:
        accepted, total = verification.accepted, verification.count
        remark = _joined(f"{count(accepted)} of {count(total)}", _reach_of(metrics, "accepted"))
        result.append(("Proofs accepted", percent(accepted / total), remark))
    if federation:
        result.append(
            (
                "Test accuracy",
                percent(federation.unlearned_accuracy),
                _joined(
                    _reach_of(metrics, "accuracy_test_unlearned"),
                    f"{percent(federation.original_accuracy)} before",
                ),
            )
        )
    return result


def score_rows(metrics: Metrics) -> dict[str, Any]:
    """The scores table, with a column for the attack, each baseline and chance, and what its terms mean."""
    baselines = metrics.baselines
    rows, meanings = [], []
    # How further metrics are to be read stands beside their values: their package need not be here any more.
    further = {name: Score(**dict(meaning)) for name, meaning in metrics.metrics.items()}
    for name, score in (SCORES | further).items():
        reading = metrics.score(name)
        if reading is None:
            continue
        meanings.append((score.label, score.meaning))
        interval = reading.interval
        rows.append(
            {
                "label": score.label,
                "better": score.better,
                "ours": written(name, reading.value),
                "interval": f"{written(name, interval[0])} to {written(name, interval[1])}"
                if interval
                else "",
                "baselines": [written(name, values.score(name)) for values in baselines.values()],
                "chance": written(name, reading.chance),
            }
        )
    meanings += [_BASELINES[name] for name in baselines if name in _BASELINES]
    return {"columns": [baseline_label(name) for name in baselines], "rows": rows, "meanings": meanings}


def _reach(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def _reach_of(metrics: Metrics, name: str) -> str:
    """The interval of a rate, where the run has measured one."""
    rate = metrics.rates.get(name)
    return _reach(rate.low, rate.high) if rate else ""


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def forgetting_rows(metrics: Metrics) -> list[tuple[str, list[str]]]:
    """Label of each measure of the model, and its values: before, after, change, exactly retrained.

    Args:
        metrics: What was measured.
    """
    forgetting = metrics.forgetting
    if forgetting is None:
        return []
    rows = []
    for name, (label, share) in _FORGETTING.items():
        before, after, retrained = _three(forgetting, name)
        write = percent if share else number
        known = [metrics.rates.get(f"{name}_{model}") for model in ("original", "unlearned", "retrained")]
        difference = (
            f"{change(100 * before, 100 * after, digits=1)} points"
            if share
            else change(before, after, digits=3)
        )
        chance = known[0].chance if known[0] else None
        by_chance = "" if chance is None else f" (chance {write(chance)})"
        values = [
            _bounded(value, rate, write)
            for value, rate in zip((before, after, retrained), known, strict=True)
        ]
        rows.append((label + by_chance, [*values[:2], difference, values[2]]))
    return rows


def _three(forgetting: Forgetting, name: str) -> tuple[float, float, float]:
    """A measure of the original, the unlearned and the retrained model."""
    part, _, which = name.partition("_")
    original, unlearned, retrained = (
        getattr(model if part == "accuracy" else model.membership, which)
        for model in (forgetting.original, forgetting.unlearned, forgetting.retrained)
    )
    return original, unlearned, retrained


def _bounded(value: float, rate: Rate | None, write: Callable[[float | None], str]) -> str:
    return write(value) + (f" ({write(rate.low)} to {write(rate.high)})" if rate else "")


def configuration(config: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of the configuration with their keys and values; top-level values come first."""
    general = [(key, _plain(value)) for key, value in config.items() if not _nested(value)]
    sections = [("general", general)]
    for key, value in config.items():
        if isinstance(value, Mapping):
            sections.append((key, [(name, _plain(below)) for name, below in value.items()]))
        elif _nested(value):
            sections += [
                (f"{key} {place}", [(name, _plain(below)) for name, below in part.items()])
                for place, part in enumerate(value, start=1)
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
