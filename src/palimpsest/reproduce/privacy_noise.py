"""Clipping and noise against attackers who ignore the noise, know it, or stop at it; the prior alone is the floor."""

from collections.abc import Sequence
from itertools import product

from palimpsest.attacks import NoiseMode
from palimpsest.metrics import Metrics, Reading
from palimpsest.reproduce.paired import Comparison, compare, from_differences, holm, sentences
from palimpsest.reproduce.study import Cell, Column, Study
from palimpsest.reproduce.summary import Summary

_EPSILONS = (1.0, 8.0, 1e2, 1e4, 1e6)
_MODES: tuple[NoiseMode, ...] = ("ignored", "map", "discrepancy")
_LEVEL = 0.05
_FLOOR, _ADDED = "prior alone: MSE", "MSE minus prior"


def _cells() -> list[Cell]:
    attack = {"name": "dragdp", "control_size": 0}
    return [Cell("none", "mnist-dragdp", {"attack": attack})] + [
        Cell(
            f"epsilon-{epsilon:g}-{noise}",
            "mnist-dragdp",
            {
                "attack": {**attack, "noise": noise},
                "defenses": [{"name": "clip-noise", "epsilon": epsilon}],
            },
            position=epsilon,
        )
        for epsilon, noise in product(_EPSILONS, _MODES)
    ]


def _read_floor(metrics: Metrics) -> Reading | None:
    mse = metrics.prior and metrics.prior.score("mse")
    return None if mse is None else Reading(mse)


def _read_added(metrics: Metrics) -> Reading | None:
    """Return the mean over the images of the attack's error minus that of the prior for the same image."""
    error, floor = metrics.score("mse"), _read_floor(metrics)
    return Reading(error.value - floor.value) if error and floor else None


def _conclude(summaries: Sequence[Summary]) -> list[str]:
    """Compare each row with its prior, and an attacker who knows the noise with one who ignores it, in sentences."""
    rows = [summary for summary in summaries if _ADDED in summary.columns]
    against_prior = [
        from_differences(f"{row.cell.name}: the MSE minus that of the prior", row.columns[_ADDED].values)
        for row in rows
    ]
    done = {row.cell.name: row for row in rows}
    pairs = [
        (f"epsilon-{epsilon:g}", other) for epsilon, other in product(_EPSILONS, ("ignored", "discrepancy"))
    ]
    against_others = [
        compare(
            f"{level}: the MSE of map minus that of {other}", done[f"{level}-map"], done[f"{level}-{other}"]
        )
        for level, other in pairs
        if {f"{level}-map", f"{level}-{other}"} <= done.keys()
    ]
    comparisons = [*against_prior, *(one for one in against_others if one is not None)]
    adjusted = iter(holm([one.p_value for one in comparisons if one.p_value is not None]))
    outcomes = [None if one.p_value is None else _outcome(one, next(adjusted)) for one in against_prior]
    texts = sentences(comparisons)
    return [
        f"{text} {outcome}" if outcome else text
        for text, outcome in zip(texts, [*outcomes, *[None] * (len(texts) - len(outcomes))], strict=True)
    ]


def _outcome(comparison: Comparison, p_value: float) -> str:
    """Describe the difference between an attack's error and its prior's, by the adjusted p-value."""
    if p_value > _LEVEL:
        return "Not distinguishable from its prior."
    if comparison.difference.mean > 0:
        return "Failed attack: worse than its prior, this is not protection."
    return "Closer than its prior."


STUDIES = {
    "dragd-privacy-noise": Study(
        "dragd-privacy-noise",
        "Clipping and Gaussian noise on the clients' gradients, by what the attacker does about the noise",
        "DRAGD, differential privacy, as its summary suggests; the attackers who know the noise are this package's",
        _cells,
        columns=(Column(_FLOOR, _read_floor, ".4f"), Column(_ADDED, _read_added, ".2g")),
        notes=(
            "The network has uniform random weights and one short round of training; its accuracy is still at chance.",
            "Ignored: dragdp matches the noisy gradients. Map: it minimizes the negative log-posterior under the known "
            "clipping and noise and a Gaussian prior of the public images. Discrepancy: it stops when the residual is "
            "as long as the noise. All three start from the mean public image, which is the prior alone.",
            "MSE minus prior: mean over the images of the attack's error minus the prior's for the same image.",
            "Delta is 1e-5, the clipping norm is 1, and epsilon covers the release of a single gradient.",
        ),
        conclude=_conclude,
    )
}
"""The study by the name of its command."""
