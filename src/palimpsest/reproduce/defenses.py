"""What each defense hides, and what it leaves of the proof: cells and columns of the studies of defenses."""

from functools import partial
from typing import Any

from palimpsest.comparison import read_linkage, score_column
from palimpsest.metrics import Metrics, Reading
from palimpsest.reproduce.recommendation import recommend
from palimpsest.reproduce.study import Cell, Column, Study

# The paper prints one number for each defense. Sign compression has no setting; 0.01 is read as the perturbation's
# scale, with a factor of 1; 0.1 as the smoothing's alpha, whose window is not given; 0.1 as the noise's deviation.
PAPERS_DEFENSES: dict[str, dict[str, Any]] = {
    "prune-0.7": {"name": "prune", "ratio": 0.7},
    "prune-0.8": {"name": "prune", "ratio": 0.8},
    "prune-0.9": {"name": "prune", "ratio": 0.9},
    "sign": {"name": "sign"},
    "gaussian": {"name": "gaussian", "sigma": 0.1},
    "perturb": {"name": "perturb", "scale": 0.01},
    "smooth": {"name": "smooth", "alpha": 0.1},
    "orthogonal": {"name": "orthogonal"},
}
"""IGF's Table 2 and Fig. 5."""

_OTHERS: dict[str, dict[str, Any]] = {
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
    "The first scores are of an attacker who has learned through the defense, with randomness and secrets of its own; "
    "the non-adaptive one has learned from undefended differences."
)


def _of(attacker: str, score: str, heading: str, form: str) -> Column:
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


def _read_worst(metrics: Metrics, verifier: str) -> Reading | None:
    soundness = metrics.soundness
    if soundness is None or verifier not in soundness.worst:
        return None
    area, low, high = soundness.worst[verifier]
    return Reading(area, (low, high))


def _read_accuracy(metrics: Metrics) -> Reading | None:
    return None if metrics.federation is None else Reading(metrics.federation.unlearned_accuracy)


NON_ADAPTIVE = (
    _of("non-adaptive", "mse", "non-adaptive MSE", ".4f"),
    _of("non-adaptive", "psnr", "PSNR", ".2f"),
    _of("non-adaptive", "lpips", "LPIPS", ".3f"),
    _of("non-adaptive", "identification_top1", "top 1", ".1%"),
)
MEAN_IMAGE = Column("mean image's MSE", _read_mean_image, ".4f")
"""What an attacker gets who answers with the mean of its own images, whatever the proof."""

CONFIRMED = Column("confirmed", read_linkage, ".1%")
FOUND = tuple(
    Column(f"found at {rate}", partial(_read_found, place=place), ".1%")
    for place, rate in enumerate(("0.1 %", "1 %"))
)
_SOUND = tuple(
    Column(name, partial(_read_worst, verifier=verifier), ".2f")
    for name, verifier in (
        ("norm check", "norm"),
        ("range", "range"),
        ("subspace", "subspace"),
        ("spot check", "spot-check"),
    )
)
_ACCURACY = Column("accuracy", _read_accuracy, ".1%")


def _frontier() -> list[Cell]:
    defenses = {**PAPERS_DEFENSES, **_OTHERS}
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
            "What a defense hides, and what it leaves of the proof",
            "Palimpsest's own",
            _frontier,
            "frontier",
            columns=(
                MEAN_IMAGE,
                _of("non-adaptive", "identification_top1", "non-adaptive top 1", ".1%"),
                CONFIRMED,
                *FOUND,
                *_SOUND,
                _ACCURACY,
            ),
            notes=(
                ADAPTIVE_NOTE,
                "Confirmed: proofs that fit their own image better than all the other forgotten ones do; found: right "
                "pairs, where that share of the wrong ones is taken for right.",
                "Of each verifier, the area under the ROC curve against the forger that deceives it best (0.5 is a "
                "coin, and below it a forgery looks better than a proof); the spot check asks for a commitment first.",
                "Accuracy is the unlearned model's, which no defense of the proofs touches.",
            ),
            conclude=recommend,
        ),
    )
}
"""Every study by the name of its command."""
