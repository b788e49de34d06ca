"""Shared parts of the studies of a server's attacks: attacks, cells, columns and notes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from palimpsest.metrics import Metrics, PartMetrics, Reading
from palimpsest.reproduce.study import Cell, Column

# Attacks that use the sign of the gradient run in float32, which is enough for a sign.
ATTACKS: dict[str, dict[str, Any]] = {
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
"""The attacks by their names in the tables."""
SETS = ("mnist", "cifar10", "lfw")
"""The data sets of the paper's table; each has a preset `<name>-dragdp`."""


def _score(part: PartMetrics | None, name: str) -> Reading | None:
    value = part and part.score(name)
    return None if part is None or value is None else Reading(value, part.intervals.get(name))


def _read_prior(metrics: Metrics, score: str) -> Reading | None:
    return _score(metrics.prior, score)


RETAINED = Column("retained: MSE", lambda metrics: _score(metrics.retained, "mse"), ".4f")
"""Column of the error of the reconstructed retained samples."""
PRIOR = tuple(
    Column(heading, partial(_read_prior, score=score), form)
    for heading, score, form in (("prior alone: MSE", "mse", ".4f"), ("SSIM", "ssim", ".3f"))
)
"""Columns of the scores of the public images from which a search starts."""
RETAINED_NOTE = (
    "Retained: MSE of the reconstructed retained samples. Prior alone: scores of the public images from which the "
    "search for the forgotten samples starts. Absent if the attack does not use them."
)
"""Note below a table with `RETAINED` and `PRIOR`."""
PARAMETER_DISTANCE = Column(
    "parameter distance",
    lambda metrics: None if metrics.parameter_distance is None else Reading(metrics.parameter_distance),
    ".2g",
)
"""Column of the distance between the models before and after unlearning."""
DISTANCE_NOTE = "Parameter distance: L2 distance between the parameters before and after unlearning."
"""Note below a table with `PARAMETER_DISTANCE`."""
PAIRED = "Reconstructions are paired with originals within each batch by the assignment with the smallest total MSE."
"""Note on batches with several forgotten samples."""
FRESH = (
    "The network has uniform random weights and one short round of training; its accuracy is still at chance."
)
"""Note on the network of the presets."""


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


def server_cell(
    name: str,
    dataset: str,
    attack: Mapping[str, Any],
    *,
    position: float | None = None,
    series: str = "",
    **changes: Any,
) -> Cell:
    """Make a cell of a server's attack.

    Args:
        name: Name of the cell.
        dataset: The data set, one of `SETS`.
        attack: The attack's settings.
        position: Position on a curve's axis.
        series: Name of the curve.
        changes: Sections of the configuration that differ from the preset.
    """
    changes["attack"] = {**attack, "control_size": 0}
    return Cell(name, f"{dataset}-dragdp", changes, position=position, series=series)
