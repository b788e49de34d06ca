"""Rows and tiles of the page, as plain text by column."""

import json
from collections.abc import Callable, Mapping
from typing import Any

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


def facts(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was audited, in a line: the names that the configuration's sections choose."""
    unlearning = config["unlearning"]
    defenses = ", ".join(defense["name"] for defense in config["defenses"]) or "none"
    return [
        ("Data", _plain(config["data"]["name"])),
        ("Model", _plain(config["model"]["name"])),
        ("Unlearning", f"{unlearning['scenario']} level, {unlearning['method']}"),
        ("Defence", defenses),
        ("Attack", _plain(config["attack"]["name"])),
        ("Seed", _plain(config["seed"])),
    ]


def tiles(report: ReportInput, verdict: Verdict) -> list[tuple[str, str, str]]:
    """Label, value and remark of each key figure."""
    metrics = report.metrics
    found = verdict.identification
    scores = metrics["reconstruction"]
    mean_image = metrics["baselines"]["mean_image"]
    verification = metrics.get("verification")
    federation = metrics.get("federation")
    result = [
        (
            "Told apart",
            percent(found.right / found.count),
            f"{count(found.right)} of {count(found.count)}; {_reach(*found.interval)}; chance "
            f"{percent(found.chance)}",
        )
    ]
    for name in ("mse", "psnr", "ssim", "lpips"):
        if scores.get(name) is not None:
            unit = " dB" if name == "psnr" else ""
            remark = f"mean image {number(mean_image.get(name))}{unit}"
            result.append((SCORES[name].label, number(scores[name]) + unit, remark))
    if verification:
        accepted = verification["accepted"]
        total = accepted + verification["refused"]
        remark = _joined(f"{count(accepted)} of {count(total)}", _reach_of(metrics, "accepted"))
        result.append(("Proofs accepted", percent(accepted / total), remark))
    if federation:
        result.append(
            (
                "Test accuracy",
                percent(federation["unlearned_accuracy"]),
                _joined(
                    _reach_of(metrics, "accuracy_test_unlearned"),
                    f"{percent(federation['original_accuracy'])} before",
                ),
            )
        )
    return result


def score_rows(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The scores table, with a column for the attack, each baseline and chance, and what its terms mean."""
    ours, baselines = metrics["reconstruction"], metrics["baselines"]
    rows, meanings = [], []
    # How further metrics are to be read stands beside their values: their package need not be here any more.
    further = {name: Score(**meaning) for name, meaning in metrics.get("metrics", {}).items()}
    for name, score in (SCORES | further).items():
        if name not in ours:
            continue
        meanings.append((score.label, score.meaning))
        interval = metrics["intervals"].get(name)
        rows.append(
            {
                "label": score.label,
                "better": score.better,
                "ours": written(name, ours[name]),
                "interval": f"{written(name, interval[0])} to {written(name, interval[1])}"
                if interval
                else "",
                "baselines": [written(name, values.get(name)) for values in baselines.values()],
                "chance": written(name, metrics["chance"].get(name)),
            }
        )
    meanings += [_BASELINES[name] for name in baselines if name in _BASELINES]
    return {"columns": [baseline_label(name) for name in baselines], "rows": rows, "meanings": meanings}


def _reach(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def _reach_of(metrics: Mapping[str, Any], name: str) -> str:
    """The interval of a rate, where the run has measured one."""
    rate = (metrics.get("rates") or {}).get(name)
    return _reach(rate["low"], rate["high"]) if rate else ""


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def forgetting_rows(
    forgetting: Mapping[str, Any] | None, rates: Mapping[str, Any] | None = None
) -> list[tuple[str, list[str]]]:
    """Label of each measure of the model, and its values: before, after, change, exactly retrained.

    Args:
        forgetting: As in `ReportInput.forgetting`.
        rates: The part `rates` of metrics.json, for intervals and chance.
    """
    rows = []
    models = ("original", "unlearned", "retrained")
    for name, (label, share) in _FORGETTING.items():
        values = (forgetting or {}).get(name)
        if not values:
            continue
        before, after = values[:2]
        retrained = values[2] if len(values) > 2 else None
        write = percent if share else number
        known = [(rates or {}).get(f"{name}_{model}") for model in models]

        def told(
            value: float | None,
            rate: Mapping[str, Any] | None,
            write: Callable[[float | None], str] = write,
        ) -> str:
            reach = f" ({write(rate['low'])} to {write(rate['high'])})" if rate else ""
            return write(value) + reach

        difference = (
            f"{change(100 * before, 100 * after, digits=1)} points"
            if share
            else change(before, after, digits=3)
        )
        chance = known[0]["chance"] if known[0] else None
        by_chance = "" if chance is None else f" (chance {write(chance)})"
        values = [told(before, known[0]), told(after, known[1]), difference, told(retrained, known[2])]
        rows.append((label + by_chance, values))
    return rows


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
