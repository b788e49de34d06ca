"""Clipping and noise against attackers who ignore the noise, know it, or stop at it; the prior alone is the floor."""

from collections.abc import Iterator, Sequence
from itertools import product

from palimpsest.attacks import NoiseMode
from palimpsest.metrics import Metrics, Reading
from palimpsest.reproduce.study import Cell, Column, Study
from palimpsest.reproduce.summary import Summary

_EPSILONS = (1.0, 8.0, 1e2, 1e4, 1e6)
_MODES: tuple[NoiseMode, ...] = ("ignored", "map", "discrepancy")
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
    """Say for each row whether the attack ends closer than its prior, farther, or neither."""
    return list(_sentences(summaries))


def _sentences(summaries: Sequence[Summary]) -> Iterator[str]:
    for summary in summaries:
        added = summary.columns.get(_ADDED)
        if added is not None and added.low is not None and added.high is not None:
            yield (
                f"{summary.cell.name}: {_outcome(added.low, added.high)} ({added.mean:.2g}, 95 % interval "
                f"{added.low:.2g} to {added.high:.2g}, {len(added.values)} seeds)."
            )


def _outcome(low: float, high: float) -> str:
    """Describe the interval of an attack's error minus its prior's."""
    if low > 0:
        return "failed attack, worse than its prior; this is not protection"
    return "closer than its prior" if high < 0 else "not distinguishable from its prior"


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
