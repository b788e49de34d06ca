"""What the proofs are worth to attackers who know the defenses, to one who holds candidates, and to a verifier."""

from collections.abc import Iterator
from typing import Any

from palimpsest.metrics import Metrics, binomial_interval
from palimpsest.proofs import RECOGNIZED
from palimpsest.report.scores import count, number, percent

Cell = tuple[str, str]
"""A number as text, and the ends of its interval; empty where there is none."""

_SOUND = 0.9
_ATTACKERS = {
    "adaptive": "knows the defenses and has learned through them",
    "non-adaptive": "has learned from undefended differences",
    "undefended": "sees the proofs before the defenses: what the attack is worth",
}
_STATISTICS = {
    "imitation": "it is what the auditor's own imitation of the defenses gives for the image",
    "alignment": "it points where the image's undefended difference points",
    "orthogonality": "it is orthogonal to the image's undefended difference",
    "norm": "its norm is that of the image's difference",
}


def attacker_rows(metrics: Metrics) -> list[tuple[str, str, list[Cell]]]:
    """Name, meaning and scores (MSE, PSNR, identified) of each attacker; empty where no defense was used.

    Args:
        metrics: What was measured.
    """
    if not metrics.attackers:
        return []
    names = {"adaptive": "", **{name: name for name in metrics.attackers}}
    return [(name, _ATTACKERS[name], _scores(metrics, attacker)) for name, attacker in names.items()]


def baseline_failed(metrics: Metrics) -> bool:
    """Whether the attack fails on the undefended proofs of the same run, so that its failure shows nothing."""
    return metrics.undefended_baseline is not None and not metrics.undefended_baseline.passed


def soundness_rows(metrics: Metrics) -> dict[str, Any] | None:
    """The forgers, and each verifier's area with its interval against each of them; None where not measured.

    Args:
        metrics: What was measured.
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
    """What the verdict says about defenses, the linkage attack and verification.

    Args:
        metrics: What was measured; the attack was scored.
    """
    yield from _on_attackers(metrics)
    yield from _on_baseline(metrics)
    linkage = metrics.linkage
    if linkage:
        total = _total(metrics)
        right = round(linkage.identified * total)
        low, high = (percent(end) for end in linkage.intervals[0])
        sentence = (
            f"An auditor who holds the forgotten images among its candidates can tell which proof is whose for "
            f"{count(right)} of {count(total)} ({low} to {high}; a guess gets {percent(linkage.chance)})"
        )
        yield f"{sentence}: {_why(linkage.statistic, metrics)}." if right > 0 else f"{sentence}."
    if metrics.soundness and metrics.soundness.worst:
        worst = metrics.soundness.worst
        best = max(worst, key=lambda name: worst[name][0])
        area = worst[best][0]
        finding = (
            f"the {_check(best)} tells every forgery tried from an honest proof (area under the ROC curve "
            f"{number(area)} at worst), if the party commits to its proofs before the challenge"
            if area >= _SOUND
            else f"no check tells all forgeries tried from honest proofs (the best, the {_check(best)}, reaches an "
            f"area of {number(area)}; 0.5 is a coin)"
        )
        yield f"Of the checks that an auditor could make of these proofs, {finding}."


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
    whose = {
        "undefended": "without the defenses the same attack",
        "non-adaptive": "an attacker who does not know of them",
    }
    parts = [
        f"{who} tells {count(right[name])} of {count(total)} apart ({_interval(right[name], total)})"
        for name, who in whose.items()
        if name in right
    ]
    yield f"The numbers above are of an attacker who knows the defenses; {', and '.join(parts)}."


def _on_baseline(metrics: Metrics) -> Iterator[str]:
    """The same attack without the defenses, where it was made."""
    baseline = metrics.undefended_baseline
    if baseline is None:
        return
    low, high = (percent(end) for end in baseline.interval)
    if "undefended" not in metrics.attackers:
        yield (
            f"Without the defenses the same attack tells {percent(baseline.identified)} apart (95 % interval {low} "
            f"to {high}; a guess {percent(baseline.chance)}), with a mean squared error of {number(baseline.mse)}."
        )
    if not baseline.passed:
        yield (
            "The attack fails without the defenses as well: that it fails with them says nothing about them. It tells "
            f"no more than chance apart (95 % interval {low} to {high}) and comes no closer than the mean image."
        )


def _interval(right: int, total: int) -> str:
    low, high = binomial_interval(right, total)
    return f"{percent(low)} to {percent(high)}"


def _why(statistic: str, metrics: Metrics) -> str:
    if statistic == "imitation" and not metrics.attackers:
        return "it is the image's gradient difference"
    return _STATISTICS[statistic]


def _scores(metrics: Metrics, attacker: str) -> list[Cell]:
    error, ratio, identified = (
        metrics.score(name, attacker) for name in ("mse", "psnr", "identification_top1")
    )
    low, high = (error and error.interval) or (None, None)
    return [
        (number(error and error.value), f"{number(low)} to {number(high)}"),
        (number(ratio and ratio.value), ""),
        (percent(identified and identified.value), ""),
    ]


def _check(name: str) -> str:
    return name.replace("-", " ") if name.endswith("check") else f"{name} check"


def _area(area: tuple[float, float, float]) -> Cell:
    middle, low, high = area
    return f"{middle:.2f}", "" if low == high else f"{low:.2f} to {high:.2f}"
