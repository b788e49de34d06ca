"""DRAGD's table (arXiv 2507.09602), and what its summary leaves to be checked: what each one's cells are."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from palimpsest.metrics import Metrics, PartMetrics, Reading
from palimpsest.reproduce.study import Cell, Column, Study

# Attacks with the gradient's sign take thousands of steps in their papers: a tenth of them here, told in the notes, and
# in float32, which is enough for a sign.
_ATTACKS: dict[str, dict[str, Any]] = {
    "dragdp": {"name": "dragdp"},
    "dragdp-printed": {"name": "dragdp", "space": "box", "prior_stage_one": False, "residual": False},
    "dragd": {"name": "dragd"},
    "dragd-printed": {"name": "dragd", "residual": False},
    "joint": {"name": "joint"},
    "direct-difference": {"name": "direct-difference"},
    "dlg": {"name": "dlg"},
    "idlg": {"name": "idlg"},
    "inverting-gradients": {"name": "inverting-gradients", "iterations": 480, "precision": "float32"},
    "giamu": {"name": "giamu", "iterations": 1000, "restarts": 1, "precision": "float32"},
    "fuia": {"name": "fuia", "iterations": 480, "precision": "float32"},
}
_SETS = ("mnist", "cifar10", "lfw")


def _score(part: PartMetrics | None, name: str) -> Reading | None:
    value = part and part.score(name)
    return None if part is None or value is None else Reading(value, part.intervals.get(name))


def _read_prior(metrics: Metrics, score: str) -> Reading | None:
    return _score(metrics.prior, score)


_PART = Column("part", lambda metrics: _score(metrics.retained, "mse"), ".4f")
_PRIOR = tuple(
    Column(heading, partial(_read_prior, score=score), form)
    for heading, score, form in (("prior alone: MSE", "mse", ".4f"), ("SSIM", "ssim", ".3f"))
)
_PARTS = (
    "Part: the MSE of the retained samples. Prior alone: what the public images score from which the search for the "
    "forgotten samples starts. Absent where an attack has none of them."
)
_MOVED = Column(
    "moved",
    lambda metrics: None if metrics.parameter_distance is None else Reading(metrics.parameter_distance),
    ".2g",
)
_AWAY = "Moved: the L2 distance of the parameters before and after unlearning."
_PAIRED = "Reconstructions were paired with originals batch by batch, so that the total MSE is smallest."
_FRESH = "The network has uniform random weights and one short round of training: it still guesses at chance."


def _table() -> list[Cell]:
    return [_cell(f"{data}-{name}", data, attack) for data in _SETS for name, attack in _ATTACKS.items()]


def _batch_size() -> list[Cell]:
    """The same fifty samples are forgotten in every cell, and the same model unlearns them: batches alone differ."""
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
    """The same attack with a prior of its own kind, and of another."""
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


def _moved(distance: float, count: int = 20) -> dict[str, Any]:
    """Unlearning by one step up the forgotten samples' loss, cut to this length."""
    return {
        "method": "ascent",
        "count": count,
        "steps": 1,
        "learning_rate": 1.0,
        "radius": distance,
        "fine_tune_rounds": 0,
    }


def _step() -> list[Cell]:
    """The unlearned model a step of 0.01 away, in batches and images of several sizes."""
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
            of,
            _ATTACKS[attack],
            data=data,
            observation={"retained": retained, "forgotten": forgotten},
            unlearning=_moved(0.01, batches * forgotten),
        )
        for name, (of, retained, forgotten, batches, data) in kinds.items()
        for attack in ("dragdp", "dragd")
    ]


def _distance() -> list[Cell]:
    lengths = [
        _cell(f"distance-{distance:g}", "mnist", _ATTACKS["dragdp"], unlearning=_moved(distance))
        for distance in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    ]
    plain = _cell(
        "learning-rate-0.01",
        "mnist",
        _ATTACKS["dragdp"],
        unlearning=_moved(1e6) | {"learning_rate": 0.01},
    )
    return [*lengths, plain]


def _cell(
    name: str,
    of: str,
    attack: Mapping[str, Any],
    *,
    position: float | None = None,
    **changes: Any,
) -> Cell:
    return Cell(name, f"{of}-dragdp", {"attack": attack, **changes}, position=position)


STUDIES = {
    study.name: study
    for study in (
        Study(
            "dragd-table",
            "Reconstruction from the server: every attack on the same observations",
            "DRAGD, the table of MNIST, CIFAR-10 and LFW; its figures are on no one scale and not printed here",
            _table,
            columns=(_PART, *_PRIOR, _MOVED),
            notes=(
                _FRESH,
                _PAIRED,
                _PARTS,
                _AWAY,
                "dragd-printed and dragdp-printed are the paper's: stage 2 takes stage 1's answer for the truth, and "
                "public images start stage 2 alone. dragd and dragdp also count what stage 1 left unexplained, and "
                "dragdp starts both stages from public images, in the coordinates in which these are white noise.",
                "inverting-gradients, giamu and fuia take a tenth of their papers' steps, and giamu one start.",
            ),
        ),
        Study(
            "dragd-step",
            "The unlearned model a step of 0.01 away",
            "Palimpsest's own; DRAGD's batches are not known",
            _step,
            columns=(_PART, *_PRIOR, _MOVED),
            notes=(_FRESH, _PAIRED, _PARTS, _AWAY),
        ),
        Study(
            "dragd-distance",
            "How far unlearning moved the model",
            "Palimpsest's own",
            _distance,
            columns=(_PART, *_PRIOR, _MOVED),
            notes=(_FRESH, _PARTS, _AWAY),
        ),
        Study(
            "dragd-batch-size",
            "How many samples a batch forgets",
            "DRAGD, sensitivity to the unlearning batch size, which its summary asks for",
            _batch_size,
            "curve",
            axis="forgotten samples of a batch",
            columns=(_PART, *_PRIOR, _MOVED),
            notes=(_FRESH, _PAIRED, _PARTS, _AWAY),
        ),
        Study(
            "dragd-privacy-noise",
            "Clipping and Gaussian noise on the clients' gradients",
            "DRAGD, differential privacy, which its summary asks for",
            _privacy_noise,
            columns=(_PART, *_PRIOR, _MOVED),
            notes=(
                _FRESH,
                _PARTS,
                "Delta is 1e-5, the clip 1, and epsilon is that of one gradient's release.",
            ),
        ),
        Study(
            "dragd-domains",
            "A prior of the same kind, and of another",
            "DRAGDP, other domains than faces, which its summary asks for",
            _domains,
            columns=(_PART, *_PRIOR, _MOVED),
            notes=(_FRESH, _PARTS, _AWAY),
        ),
    )
}
"""Every study of the server's attacks by the name of its command."""
