"""What the proofs are worth: to attackers who know the defences, to one who holds the images, and to a verifier."""

from collections.abc import Iterator, Mapping
from typing import Any

from palimpsest.metrics.rates import binomial_interval
from palimpsest.proofs import RECOGNISED
from palimpsest.report.scores import count, number, percent

Cell = tuple[str, str]
"""A number as text, and the ends of its interval; empty where there is none."""

_SOUND = 0.9
_ATTACKERS = {
    "adaptive": "knows the defences and has learned through them",
    "non-adaptive": "has learned from undefended differences",
    "undefended": "sees the proofs before the defences: what the attack is worth",
}
_STATISTICS = {
    "imitation": "it is what the auditor's own imitation of the defences gives for the image",
    "alignment": "it points where the image's undefended difference points",
    "orthogonality": "it is orthogonal to the image's undefended difference",
    "norm": "its norm is that of the image's difference",
}


def attacker_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str, list[Cell]]]:
    """Name, meaning and scores (MSE, PSNR, told apart) of each attacker; empty where no defence was used."""
    others = metrics.get("attackers")
    if not others:
        return []
    first = {"reconstruction": metrics["reconstruction"], "intervals": metrics["intervals"]}
    return [(name, _ATTACKERS[name], _scores(tree)) for name, tree in {"adaptive": first, **others}.items()]


def control_failed(metrics: Mapping[str, Any]) -> bool:
    """Whether the attack fails on the undefended proofs of the same run, so that its failure shows nothing."""
    control = metrics.get("control")
    return control is not None and not control["passed"]


def soundness_rows(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The forgers, and each verifier's area with its interval against each of them; none where not measured."""
    soundness = metrics.get("soundness")
    if not soundness:
        return None
    areas = soundness["areas"]
    forgers = list(next(iter(areas.values())))
    return {
        "verifiers": list(areas),
        "rows": [(forger, [_area(areas[verifier][forger]) for verifier in areas]) for forger in forgers],
        # Runs that were made before the checks were explained have no word of what they do.
        "checks": [
            (name, soundness.get("checks", {}).get(name, ""), needs)
            for name, needs in soundness["needs"].items()
        ],
        "recognised": RECOGNISED in forgers,
    }


def worth_findings(metrics: Mapping[str, Any]) -> Iterator[str]:
    """What the verdict says about defences, confirmation and verification."""
    yield from _on_attackers(metrics)
    yield from _on_control(metrics)
    confirmation = metrics.get("confirmation")
    if confirmation:
        total = metrics["reconstruction"]["count"]
        right = round(confirmation["identified"] * total)
        low, high = (percent(end) for end in confirmation["intervals"][0])
        sentence = (
            f"An auditor who holds the forgotten images among its candidates can tell which proof is whose for "
            f"{count(right)} of {count(total)} ({low} to {high}; a guess gets {percent(confirmation['chance'])})"
        )
        yield f"{sentence}: {_why(confirmation['statistic'], metrics)}." if right > 0 else f"{sentence}."
    worst = (metrics.get("soundness") or {}).get("worst")
    if worst:
        best = max(worst, key=lambda name: worst[name][0])
        area = worst[best][0]
        told = (
            f"the {_check(best)} tells every forgery tried from an honest proof (area under the ROC curve "
            f"{number(area)} at worst), if the party commits to its proofs before the challenge"
            if area >= _SOUND
            else f"no check tells all forgeries tried from honest proofs (the best, the {_check(best)}, reaches an "
            f"area of {number(area)}; 0.5 is a coin)"
        )
        yield f"Of the checks that an auditor could make of these proofs, {told}."


def _on_attackers(metrics: Mapping[str, Any]) -> Iterator[str]:
    others = metrics.get("attackers")
    if not others:
        return
    total = metrics["reconstruction"]["count"]
    right = {
        name: round(tree["reconstruction"]["identification_top1"] * total) for name, tree in others.items()
    }
    whose = {
        "undefended": "without the defences the same attack",
        "non-adaptive": "an attacker who does not know of them",
    }
    parts = [
        f"{who} tells {count(right[name])} of {count(total)} apart ({_interval(right[name], total)})"
        for name, who in whose.items()
        if name in right
    ]
    yield f"The numbers above are of an attacker who knows the defences; {', and '.join(parts)}."


def _on_control(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The same attack without the defences, where it was made."""
    control = metrics.get("control")
    if control is None:
        return
    low, high = (percent(end) for end in control["interval"])
    if "undefended" not in metrics.get("attackers", {}):
        yield (
            f"Without the defences the same attack tells {percent(control['identified'])} apart (95 % interval {low} "
            f"to {high}; a guess {percent(control['chance'])}), with a mean squared error of {number(control['mse'])}."
        )
    if control_failed(metrics):
        yield (
            "The attack fails without the defences as well: that it fails with them says nothing about them. It tells "
            f"no more than chance apart (95 % interval {low} to {high}) and comes no closer than the mean image."
        )


def _interval(right: int, total: int) -> str:
    low, high = binomial_interval(right, total)
    return f"{percent(low)} to {percent(high)}"


def _why(statistic: str, metrics: Mapping[str, Any]) -> str:
    if statistic == "imitation" and not metrics.get("attackers"):
        return "it is the image's gradient difference"
    return _STATISTICS[statistic]


def _scores(tree: Mapping[str, Any]) -> list[Cell]:
    scores = tree["reconstruction"]
    low, high = tree["intervals"]["mse"]
    return [
        (number(scores["mse"]), f"{number(low)} to {number(high)}"),
        (number(scores["psnr"]), ""),
        (percent(scores["identification_top1"]), ""),
    ]


def _check(name: str) -> str:
    return name.replace("-", " ") if name.endswith("check") else f"{name} check"


def _area(area: list[float]) -> Cell:
    middle, low, high = area
    return f"{middle:.2f}", "" if low == high else f"{low:.2f} to {high:.2f}"
