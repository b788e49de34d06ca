"""Cells of DRAGD's table (arXiv 2507.09602), and of studies that follow up on its summary."""

from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Any

from palimpsest.metrics import Metrics, PartMetrics, Reading
from palimpsest.reproduce.study import Cell, Column, Study

# Attacks that use the sign of the gradient run in float32, which is enough for a sign.
_ATTACKS: dict[str, dict[str, Any]] = {
    "dragdp": {"name": "dragdp"},
    "dragdp-printed": {"name": "dragdp", "space": "box", "prior_stage_one": False, "residual": False},
    "dragd": {"name": "dragd"},
    "dragd-printed": {"name": "dragd", "residual": False},
    "joint": {"name": "joint"},
    "direct-difference": {"name": "direct-difference"},
    "dlg": {"name": "dlg"},
    "idlg": {"name": "idlg"},
    "inverting-gradients": {"name": "inverting-gradients", "precision": "float32"},
    "giamu": {"name": "giamu", "precision": "float32"},
}
# Knowledge that is given to each attack that can use it, beside its own settings.
_KNOWLEDGE: dict[str, dict[str, Any]] = {
    "prior": {"prior": "mean", "labels": "known"},
    "inferred": {"labels": "inferred"},
}
_SETS = ("mnist", "cifar10", "lfw")


def _score(part: PartMetrics | None, name: str) -> Reading | None:
    value = part and part.score(name)
    return None if part is None or value is None else Reading(value, part.intervals.get(name))


def _read_prior(metrics: Metrics, score: str) -> Reading | None:
    return _score(metrics.prior, score)


_RETAINED = Column("retained: MSE", lambda metrics: _score(metrics.retained, "mse"), ".4f")
_PRIOR = tuple(
    Column(heading, partial(_read_prior, score=score), form)
    for heading, score, form in (("prior alone: MSE", "mse", ".4f"), ("SSIM", "ssim", ".3f"))
)
_RETAINED_NOTE = (
    "Retained: MSE of the reconstructed retained samples. Prior alone: scores of the public images from which the "
    "search for the forgotten samples starts. Absent if the attack does not use them."
)
PARAMETER_DISTANCE = Column(
    "parameter distance",
    lambda metrics: None if metrics.parameter_distance is None else Reading(metrics.parameter_distance),
    ".2g",
)
"""Column of the distance between the models before and after unlearning."""
DISTANCE_NOTE = "Parameter distance: L2 distance between the parameters before and after unlearning."
"""Note below a table with `PARAMETER_DISTANCE`."""
_PAIRED = "Reconstructions are paired with originals within each batch by the assignment with the smallest total MSE."
_FRESH = (
    "The network has uniform random weights and one short round of training; its accuracy is still at chance."
)


def _table() -> list[Cell]:
    """Make a cell for each attack as published, and others in which all attacks have the same knowledge."""
    published = [_cell(f"{data}-{name}", data, attack) for data in _SETS for name, attack in _ATTACKS.items()]
    return published + [
        _cell(f"{data}-{name}-{knowledge}", data, attack | changes)
        for data, (knowledge, changes), (name, attack) in product(_SETS, _KNOWLEDGE.items(), _ATTACKS.items())
        if not name.endswith("-printed")
    ]


def _batch_size() -> list[Cell]:
    """Make cells that forget the same fifty samples with the same model and differ in the batch size only."""
    return [
        _cell(
            f"forgotten-{size}",
            "mnist",
            _ATTACKS["dragdp"],
            observation={"retained": 4, "forgotten": size},
            unlearning={"count": 50},
            position=float(size),
        )
        for size in (1, 2, 5, 10, 25, 50)
    ]


def _privacy_noise() -> list[Cell]:
    clean = _cell("none", "mnist", _ATTACKS["dragdp"])
    return [clean] + [
        _cell(
            f"epsilon-{epsilon:g}",
            "mnist",
            _ATTACKS["dragdp"],
            defenses=[{"name": "clip-noise", "epsilon": epsilon}],
        )
        for epsilon in (1.0, 8.0, 1e2, 1e4, 1e6)
    ]


def _domains() -> list[Cell]:
    """Make cells of one attack with an in-distribution and an out-of-distribution prior."""
    return [
        _cell(
            f"{data}-prior-{prior}",
            data,
            _ATTACKS["dragdp"],
            data={} if prior == data else {"auxiliary": prior},
        )
        for data, prior in (
            ("mnist", "mnist"),
            ("mnist", "fashion_mnist"),
            ("cifar10", "cifar10"),
            ("cifar10", "mnist"),
        )
    ]


def ascent_step(distance: float, count: int = 20) -> dict[str, Any]:
    """Return settings of unlearning by one ascent step on the forgotten samples' loss.

    Args:
        distance: Length to which the step is clipped.
        count: Number of forgotten samples.
    """
    return {
        "method": "ascent",
        "count": count,
        "steps": 1,
        "learning_rate": 1.0,
        "radius": distance,
        "fine_tune_rounds": 0,
    }


def _step() -> list[Cell]:
    """Make cells with an unlearning step of length 0.01, over several batch and image sizes."""
    kinds: dict[str, tuple[str, int, int, int, dict[str, Any]]] = {
        "mnist-1+1": ("mnist", 1, 1, 20, {}),
        "mnist-4+1": ("mnist", 4, 1, 20, {}),
        "mnist-16+4": ("mnist", 16, 4, 3, {}),
        "lfw32-1+1": ("lfw", 1, 1, 20, {}),
        "lfw32-4+1": ("lfw", 4, 1, 6, {}),
        "lfw64-4+1": ("lfw", 4, 1, 2, {"image_size": 64}),
    }
    return [
        _cell(
            f"{name}-{attack}",
            dataset,
            _ATTACKS[attack],
            data=data,
            observation={"retained": retained, "forgotten": forgotten},
            unlearning=ascent_step(0.01, batches * forgotten),
        )
        for name, (dataset, retained, forgotten, batches, data) in kinds.items()
        for attack in ("dragdp", "dragd")
    ]


def _cell(
    name: str,
    dataset: str,
    attack: Mapping[str, Any],
    *,
    position: float | None = None,
    **changes: Any,
) -> Cell:
    changes["attack"] = {**attack, "control_size": 0}
    return Cell(name, f"{dataset}-dragdp", changes, position=position)


STUDIES = {
    study.name: study
    for study in (
        Study(
            "dragd-table",
            "Reconstruction by the server: every attack on the same observations",
            "DRAGD, table of MNIST, CIFAR-10 and LFW; its values have no common scale and are not repeated",
            _table,
            columns=(_RETAINED, *_PRIOR, PARAMETER_DISTANCE),
            notes=(
                _FRESH,
                _PAIRED,
                _RETAINED_NOTE,
                DISTANCE_NOTE,
                "dragd-printed and dragdp-printed follow the paper: stage 2 treats the result of stage 1 as exact, and "
                "public images initialize stage 2 only. dragd and dragdp also fit the residual of stage 1, and dragdp "
                "initializes both stages from public images, in coordinates in which these are white noise.",
                "prior: all attacks start from the mean public image and know the labels. inferred: all attacks infer "
                "the labels by counting. The others have the knowledge that their papers assume.",
                "fuia is not in the table: after retraining, the change of the parameters is not the gradient of any "
                "sample.",
            ),
        ),
        Study(
            "dragd-step",
            "Reconstruction after an unlearning step of length 0.01",
            "Palimpsest; the batch sizes of DRAGD are unknown",
            _step,
            columns=(_RETAINED, *_PRIOR, PARAMETER_DISTANCE),
            notes=(_FRESH, _PAIRED, _RETAINED_NOTE, DISTANCE_NOTE),
        ),
        Study(
            "dragd-batch-size",
            "Reconstruction by the number of forgotten samples in a batch",
            "DRAGD, sensitivity to the unlearning batch size, as its summary suggests",
            _batch_size,
            "curve",
            axis="forgotten samples in a batch",
            columns=(_RETAINED, *_PRIOR, PARAMETER_DISTANCE),
            notes=(_FRESH, _PAIRED, _RETAINED_NOTE, DISTANCE_NOTE),
        ),
        Study(
            "dragd-privacy-noise",
            "Clipping and Gaussian noise on the clients' gradients",
            "DRAGD, differential privacy, as its summary suggests",
            _privacy_noise,
            columns=(_RETAINED, *_PRIOR, PARAMETER_DISTANCE),
            notes=(
                _FRESH,
                _RETAINED_NOTE,
                "Delta is 1e-5, the clipping norm is 1, and epsilon covers the release of a single gradient.",
            ),
        ),
        Study(
            "dragd-domains",
            "Priors from the same and from another domain",
            "DRAGDP, domains other than faces, as its summary suggests",
            _domains,
            columns=(_RETAINED, *_PRIOR, PARAMETER_DISTANCE),
            notes=(_FRESH, _RETAINED_NOTE, DISTANCE_NOTE),
        ),
    )
}
"""All studies of server attacks by the name of their command."""
