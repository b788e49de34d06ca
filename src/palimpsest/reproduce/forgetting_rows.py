"""Rows of the forgetting study: each method's measurements with 95 % intervals over seeds, and over pooled samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from palimpsest.membership.assessment import GROUPS, MODELS, Result
from palimpsest.membership.inference import TESTS
from palimpsest.metrics import Behavior, Interval
from palimpsest.metrics.roc import RATES, Detection, Roc, roc
from palimpsest.reproduce.forgetting_run import Measured
from palimpsest.reproduce.summary import Estimate, estimate, share_estimate

ORIGINAL = "original"
"""Name of the row of the model before unlearning."""


@dataclass(frozen=True)
class ForgettingRow:
    """Row of one unlearning method in one setting.

    Args:
        setting: Name of the setting.
        method: The unlearning method, or `original` for the model before unlearning.
        seeds: Seeds whose runs finished.
        numbers: Mean of each number over the seeds with its 95 % interval; see `share_estimate`. A number that the row
            does not have, such as the seconds of the original model, is absent.
        detections: True positive rates of each test on the forgotten samples of all seeds together, by test and false
            positive rate.
        curves: ROC curve of each test on the same samples.
        exposed: Most exposed forgotten samples of the first seed, by U-LiRA or, before unlearning, by LiRA: rows of the
            training images, most exposed first.
        failure: Reason why a seed is missing; empty if none is.
    """

    setting: str
    method: str
    seeds: tuple[int, ...]
    numbers: Mapping[str, Estimate]
    detections: Mapping[str, Sequence[Detection]]
    curves: Mapping[str, Roc]
    exposed: tuple[int, ...]
    failure: str = ""


def make_row(
    setting: str,
    method: str,
    measured: Mapping[int, Measured],
    *,
    seconds: Mapping[int, float],
    failure: str = "",
) -> ForgettingRow:
    """Summarize a method's runs.

    Args:
        setting: Name of the setting.
        method: The unlearning method, or `original`.
        measured: Measurements by seed. For `original`, those of any method.
        seconds: Wall-clock time of exact retraining by seed, in seconds.
        failure: Reason why a seed is missing.

    Returns:
        The row; empty if no run finished.
    """
    if not measured:
        return ForgettingRow(setting, method, (), {}, {}, {}, (), failure)
    model = MODELS[0] if method == ORIGINAL else MODELS[1]
    values = [_numbers(one, method, seconds[seed]) for seed, one in measured.items()]
    intervals = [_intervals(one, model) for one in measured.values()]
    numbers = {
        name: share_estimate([value[name] for value in values], [ends.get(name) for ends in intervals])
        if _is_share(name)
        else estimate([value[name] for value in values])
        for name in values[0]
    }
    pooled = {name: _pooled(measured, name, model) for name in TESTS}
    curves = {name: curve for name, curve in pooled.items() if curve is not None}
    first = next(iter(measured.values())).assessment
    strongest = first.find("u-lira", "forgotten", model) or first.find("lira", "forgotten", model)
    assert strongest is not None, "every run has forgotten candidates"
    return ForgettingRow(
        setting=setting,
        method=method,
        seeds=tuple(measured),
        numbers=numbers,
        detections={name: [curve.detection(rate) for rate in RATES] for name, curve in curves.items()},
        curves=curves,
        exposed=tuple(first.forgotten[strongest.most_exposed()].tolist()),
        failure=failure,
    )


def _numbers(measured: Measured, method: str, retraining: float) -> dict[str, float]:
    """Return one run's numbers of a row."""
    forgetting, original = measured.forgetting, method == ORIGINAL
    assert forgetting.distance is not None, "the study retrains exactly"
    behavior = forgetting.original if original else forgetting.unlearned
    numbers = _accuracies(behavior)
    if not original:
        distance = forgetting.distance
        steps, limit = measured.yardstick.relearn.unlearned, measured.yardstick.relearn.limit
        numbers |= {
            "distance": distance.absolute,
            "relative distance": distance.relative or 0.0,
            "divergence": distance.divergence,
            "agreement": distance.agreement,
            "flagged": float(len(measured.yardstick.comparison.flagged)),
            "relearn steps": float(limit + 1 if steps is None else steps),
            "seconds": measured.seconds,
            "relative seconds": measured.seconds / retraining,
        }
    model = "original" if original else "unlearned"
    numbers |= {
        f"{result.group} {result.test} AUC": result.roc.auc.value
        for result in measured.assessment.results
        if result.model == model
    }
    return numbers


def _intervals(measured: Measured, model: str) -> dict[str, Interval]:
    """Return the intervals of one run's shares and areas over its samples."""
    rates = {name: measured.rates[f"accuracy_{name}_{model}"] for name in ("retained", "forgotten", "test")}
    rates |= {name: rate for name, rate in measured.rates.items() if name == "agreement"}
    rates |= {
        f"{result.group} {result.test} AUC": result.roc.auc
        for result in measured.assessment.results
        if result.model == model
    }
    return {name: (rate.low, rate.high) for name, rate in rates.items()}


def _accuracies(behavior: Behavior) -> dict[str, float]:
    assert behavior.retained is not None, "the study knows the retained samples"
    return {"retained": behavior.retained, "forgotten": behavior.forgotten, "test": behavior.test}


def _is_share(name: str) -> bool:
    return name in {"retained", "forgotten", "test", "agreement"} or name.endswith("AUC")


def _pooled(measured: Mapping[int, Measured], test: str, model: str) -> Roc | None:
    """Return the curve of the forgotten samples of all seeds, whose scores are comparable; None if it was not run."""
    results: list[Result] = []
    for one in measured.values():
        found = one.assessment.find(test, GROUPS[0], MODELS[MODELS.index(model)])
        if found is None:
            return None
        results.append(found)
    return roc(
        torch.cat([result.members for result in results]),
        torch.cat([result.nonmembers for result in results]),
    )
