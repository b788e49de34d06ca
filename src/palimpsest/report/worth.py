"""Findings about defenses, control groups, the linkage attack and forged proofs."""

from collections.abc import Callable, Iterator
from typing import Any

from palimpsest.metrics import Metrics, Reading, binomial_interval
from palimpsest.proofs import RECOGNIZED
from palimpsest.report.aggregation import aggregation_findings
from palimpsest.report.control_groups import control_group_sentences
from palimpsest.report.scores import INTERVAL, count, number, percent

Cell = tuple[str, str]
"""A number as text, and its interval as text; the interval is empty if there is none."""

_SOUND = 0.9
_ATTACKERS = {
    "adaptive": "knows the defenses and was trained on defended proofs",
    "non-adaptive": "does not know the defenses and was trained on undefended proofs",
    "undefended": "receives the proofs without the defenses, which shows how strong the attack is",
}
_STATISTICS = {
    "imitation": "the proof matches the auditor's own imitation of the defenses on the image",
    "alignment": "the proof points in the direction of the image's undefended gradient difference",
    "orthogonality": "the proof is orthogonal to the image's undefended gradient difference",
    "norm": "the proof has the norm of the image's gradient difference",
}


def attacker_rows(metrics: Metrics) -> list[tuple[str, str, list[Cell]]]:
    """Return name, description and scores (MSE, PSNR, top-1 identification) of each attacker.

    Args:
        metrics: The metrics of a run. Without defenses, there are no rows.
    """
    if not metrics.attackers:
        return []
    names = {"adaptive": "", **{name: name for name in metrics.attackers}}
    return [(name, _ATTACKERS[name], _scores(metrics, attacker)) for name, attacker in names.items()]


def baseline_failed(metrics: Metrics) -> bool:
    """Return whether the attack also fails on the undefended proofs, so that its failure says nothing."""
    return metrics.undefended_baseline is not None and not metrics.undefended_baseline.passed


def soundness_rows(metrics: Metrics) -> dict[str, Any] | None:
    """Return the forgeries, with the area under the ROC curve of each check against each of them.

    Args:
        metrics: The metrics of a run.

    Returns:
        The table's contents, or None if soundness was not measured.
    """
    soundness = metrics.soundness
    if soundness is None:
        return None
    areas = soundness.areas
    forgers = list(next(iter(areas.values())))
    return {
        "verifiers": list(areas),
        "rows": [(forger, [_area(areas[verifier][forger]) for verifier in areas]) for forger in forgers],
        "checks": [(name, soundness.checks.get(name, ""), needs) for name, needs in soundness.needs.items()],
        "recognized": RECOGNIZED in forgers,
    }


def worth_findings(metrics: Metrics) -> Iterator[str]:
    """Yield the findings about defenses, control groups, the linkage attack and forged proofs.

    Args:
        metrics: The metrics of a run; the attack must have been scored.
    """
    yield from _on_attackers(metrics)
    yield from _on_baseline(metrics)
    yield from control_group_sentences(metrics)
    linkage = metrics.linkage
    if linkage:
        total = _total(metrics)
        right = round(linkage.identified * total)
        low, high = (percent(end) for end in linkage.intervals[0])
        sentence = (
            f"An auditor who already has exact copies of the forgotten images can link {count(right)} of "
            f"{count(total)} proofs to the right image (95 % interval {low} to {high}; chance "
            f"{percent(linkage.chance)})"
        )
        yield f"{sentence}, because {_why(linkage.statistic, metrics)}." if right > 0 else f"{sentence}."
    yield from aggregation_findings(metrics)
    if metrics.soundness and metrics.soundness.worst:
        worst = metrics.soundness.worst
        best = max(worst, key=lambda name: worst[name][0])
        area, low, high = worst[best]
        written, ends = number(area), f"{INTERVAL} {number(low)} to {number(high)}"
        finding = (
            f"the {_check(best)} detects every forgery that was tried (worst area under the ROC curve: "
            f"{written}, {ends}), provided that the party commits to its proofs before the challenge"
            if area >= _SOUND
            else f"none detects all forgeries that were tried (the best one, the {_check(best)}, has an area under "
            f"the ROC curve of {written} at worst, {ends}; 0.5 is chance)"
        )
        yield f"Of the checks that an auditor could run on these proofs, {finding}."


def _total(metrics: Metrics) -> int:
    assert metrics.reconstruction is not None, "the attack was scored"
    return metrics.reconstruction.count


def _on_attackers(metrics: Metrics) -> Iterator[str]:
    if not metrics.attackers:
        return
    total = _total(metrics)
    right = {
        name: round(attacker.reconstruction.identification_top1 * total)
        for name, attacker in metrics.attackers.items()
    }
    subjects = {
        "undefended": "without the defenses, the same attack",
        "non-adaptive": "an attacker who does not know the defenses",
    }
    parts = [
        f"{subject} identifies {count(right[name])} of {count(total)} ({_interval(right[name], total)})"
        for name, subject in subjects.items()
        if name in right
    ]
    yield f"The numbers above describe an attacker who knows the defenses. For comparison: {'; '.join(parts)}."


def _on_baseline(metrics: Metrics) -> Iterator[str]:
    """Yield the findings about the same attack without the defenses, if it was run."""
    baseline = metrics.undefended_baseline
    if baseline is None:
        return
    low, high = (percent(end) for end in baseline.interval)
    if "undefended" not in metrics.attackers:
        yield (
            f"Without the defenses, the same attack identifies {percent(baseline.identified)} (95 % interval {low} to "
            f"{high}; chance {percent(baseline.chance)}), with a mean squared error of {number(baseline.mse)}."
        )
    if not baseline.passed:
        yield (
            "The attack also fails without the defenses, so its failure with them says nothing about them. It "
            f"identifies no more than chance (95 % interval {low} to {high}) and is no closer than the mean image."
        )


def _interval(right: int, total: int) -> str:
    low, high = binomial_interval(right, total)
    return f"{percent(low)} to {percent(high)}"


def _why(statistic: str, metrics: Metrics) -> str:
    if statistic == "imitation" and not metrics.attackers:
        return "the proof is the image's gradient difference"
    return _STATISTICS[statistic]


def _scores(metrics: Metrics, attacker: str) -> list[Cell]:
    error, ratio, identified = (
        metrics.score(name, attacker) for name in ("mse", "psnr", "identification_top1")
    )
    return [_cell(error, number), _cell(ratio, number), _cell(identified, percent)]


def _cell(reading: Reading | None, write: Callable[[float | None], str]) -> Cell:
    if reading is None or reading.interval is None:
        return write(reading and reading.value), ""
    low, high = reading.interval
    return write(reading.value), f"{write(low)} to {write(high)}"


def _check(name: str) -> str:
    return name.replace("-", " ") if name.endswith("check") else f"{name} check"


def _area(area: tuple[float, float, float]) -> Cell:
    estimate, low, high = area
    return f"{estimate:.2f}", f"{low:.2f} to {high:.2f}"
