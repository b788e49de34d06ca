"""Cells and columns of the studies of defenses: leakage, and soundness of the defended proofs."""

from functools import partial
from typing import Any

from palimpsest.comparison import (
    read_accuracy,
    read_error_bound,
    read_linkage,
    read_linkage_bound,
    score_column,
)
from palimpsest.metrics import Metrics, Reading
from palimpsest.reproduce.recommendation import recommend
from palimpsest.reproduce.study import Cell, Column, Study

# The paper prints one number for each defense except sign compression, which has no setting. We take 0.01 as the scale
# of the perturbation (with a factor of 1), 0.1 as the alpha of the smoothing (whose window is not given), and 0.1 as
# the standard deviation of the noise.
PAPER_DEFENSES: dict[str, dict[str, Any]] = {
    "prune-0.7": {"name": "prune", "ratio": 0.7},
    "prune-0.8": {"name": "prune", "ratio": 0.8},
    "prune-0.9": {"name": "prune", "ratio": 0.9},
    "sign": {"name": "sign"},
    "gaussian": {"name": "gaussian", "sigma": 0.1},
    "perturb": {"name": "perturb", "scale": 0.01},
    "smooth": {"name": "smooth", "alpha": 0.1},
    "orthogonal": {"name": "orthogonal"},
}
"""Defenses of IGF's Table 2 and Fig. 5."""

_MORE_DEFENSES: dict[str, dict[str, Any]] = {
    "prune-0.99": {"name": "prune", "ratio": 0.99},
    "gaussian-0.01": {"name": "gaussian", "sigma": 0.01},
    "gaussian-1": {"name": "gaussian", "sigma": 1.0},
    "orthogonal-as-printed": {"name": "orthogonal", "rescale": False},
    "orthogonal-sample-seeded": {"name": "orthogonal-sample-seeded", "key": 7},
    "norm-only": {"name": "norm-only"},
    "project-1024": {"name": "project", "dimensions": 1024},
    "project-64": {"name": "project", "dimensions": 64},
    "noise-epsilon-1": {"name": "clip-noise", "clip": 10.0, "epsilon": 1.0},
    "noise-epsilon-8": {"name": "clip-noise", "clip": 10.0, "epsilon": 8.0},
    "noise-epsilon-300": {"name": "clip-noise", "clip": 10.0, "epsilon": 300.0},
    "noise-epsilon-3e3": {"name": "clip-noise", "clip": 10.0, "epsilon": 3e3},
    "noise-epsilon-3e4": {"name": "clip-noise", "clip": 10.0, "epsilon": 3e4},
    "noise-epsilon-3e5": {"name": "clip-noise", "clip": 10.0, "epsilon": 3e5},
}
_PRESETS = {"digits": "digits", "cifar10": "cifar10-convnet-retrain-sample"}

ADAPTIVE_NOTE = (
    "The first scores are those of an adaptive attacker, which learns from differences under the same defense, with "
    "its own randomness and secrets. The non-adaptive attacker learns from undefended differences."
)


def _attacker_column(attacker: str, score: str, heading: str, form: str) -> Column:
    return Column(heading, score_column(score, attacker), form)


def _read_mean_image(metrics: Metrics) -> Reading | None:
    mean_image = metrics.baselines.get("mean_image")
    return None if mean_image is None or mean_image.mse is None else Reading(mean_image.mse)


def _read_found(metrics: Metrics, place: int) -> Reading | None:
    linkage = metrics.linkage
    if linkage is None:
        return None
    low, high = linkage.intervals[place + 1]
    return Reading(linkage.found[place], (low, high))


def _read_optimum(metrics: Metrics) -> Reading | None:
    found = metrics.bounds and metrics.bounds.identification
    if not found or found.optimum is None:
        return None
    return Reading(found.optimum, found.optimum_interval, found.chance)


def _read_worst(metrics: Metrics, verifier: str) -> Reading | None:
    soundness = metrics.soundness
    if soundness is None or verifier not in soundness.worst:
        return None
    area, low, high = soundness.worst[verifier]
    return Reading(area, (low, high))


NON_ADAPTIVE = (
    _attacker_column("non-adaptive", "mse", "non-adaptive MSE", ".4f"),
    _attacker_column("non-adaptive", "psnr", "PSNR", ".2f"),
    _attacker_column("non-adaptive", "lpips", "LPIPS", ".3f"),
    _attacker_column("non-adaptive", "identification_top1", "identified (top-1)", ".1%"),
)
MEAN_IMAGE = Column("MSE of the mean image", _read_mean_image, ".4f")
"""Error of an attacker that ignores the proof and answers with the mean of its own images."""

LINKED = Column("linked", read_linkage, ".1%")
"""Share of proofs that the linkage attack assigns to the correct candidate."""
BEST_LINKED = Column("best possible", _read_optimum, ".1%")
"""Share of proofs that the best possible attack on one proof links, simulated."""
LINKAGE_BOUND = Column("linkage bound", read_linkage_bound, ".1%")
"""Largest expected share of proofs that any attack on one proof links."""
ERROR_BOUND = Column("error bound", read_error_bound, ".4f")
"""Smallest expected mean squared error of any attack."""
FOUND = tuple(
    Column(f"found at {rate} false positives", partial(_read_found, place=place), ".1%")
    for place, rate in enumerate(("0.1 %", "1 %"))
)
"""True positive rates of the linkage attack."""
SOUND = tuple(
    Column(name, partial(_read_worst, verifier=verifier), ".2f", area=True)
    for name, verifier in (
        ("norm check", "norm"),
        ("range", "range"),
        ("subspace", "subspace"),
        ("spot check", "spot-check"),
    )
)
"""Each verifier's area under the ROC curve against the forger that deceives it best."""
_ACCURACY = Column("accuracy", read_accuracy, ".1%")


def _frontier() -> list[Cell]:
    defenses = {**PAPER_DEFENSES, **_MORE_DEFENSES}
    return [
        Cell(f"{data}-{name}", preset, {"defenses": [defense]} if defense else {})
        for data, preset in _PRESETS.items()
        for name, defense in {"none": None, **defenses}.items()
    ]


STUDIES = {
    study.name: study
    for study in (
        Study(
            "defense-frontier",
            "Leakage and soundness of proofs under each defense",
            "Palimpsest",
            _frontier,
            "frontier",
            columns=(
                MEAN_IMAGE,
                _attacker_column(
                    "non-adaptive", "identification_top1", "non-adaptive identified (top-1)", ".1%"
                ),
                LINKED,
                BEST_LINKED,
                LINKAGE_BOUND,
                ERROR_BOUND,
                *FOUND,
                *SOUND,
                _ACCURACY,
            ),
            notes=(
                ADAPTIVE_NOTE,
                "Linked: share of proofs that fit their own image better than any other forgotten image. Found: share "
                "of matching pairs of proof and image found at that false positive rate.",
                "Best possible: share linked by the most likely candidate, simulated with known noise. Linkage bound "
                "and error bound: what no attack on one proof can beat in expectation. Absent: no bound, such as for a "
                "proof that is a fixed function of the sample.",
                "Verifiers: area under the ROC curve against the forger that deceives the verifier best; 0.5 is "
                "chance, and below it forgeries look better than honest proofs. The spot check requires a commitment "
                "first.",
                "Accuracy: test accuracy of the unlearned model, which defenses of the proofs do not change.",
            ),
            conclude=recommend,
        ),
    )
}
"""All studies of defenses by the name of their command."""
