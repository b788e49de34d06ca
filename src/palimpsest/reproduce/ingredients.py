"""Ingredients of a server's attack, apart: prior, coordinates, stages and residual; what two stages add to one."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from palimpsest.reproduce.study import Cell, Study
from palimpsest.reproduce.summary import Estimate, Summary, estimate

_STAGES: dict[str, dict[str, Any]] = {
    "one": {"name": "direct-difference"},
    "two": {"name": "dragd"},
    "two-printed": {"name": "dragd", "residual": False},
    "joint": {"name": "joint"},
}
_PRIORS = {"noise": None, "mean": "mean"}
_SPACES = ("pixels", "box", "spectrum")
_SETS = ("mnist", "cifar10", "lfw")


def paired(first: Summary, second: Summary) -> Estimate | None:
    """Estimate the difference of the mean squared errors of two cells over the seeds that both have.

    The runs of one seed have the same federation, forgotten samples and batches, so their difference is the attacks'.

    Args:
        first: The cell from whose errors the others are subtracted.
        second: The cell whose errors are subtracted.

    Returns:
        The mean difference with its 95 % interval over seeds; None if no seed is in both.
    """
    values = [dict(zip(cell.seeds, cell.scores["mse"].values, strict=True)) for cell in (first, second)]
    seeds = [seed for seed in values[0] if seed in values[1]]
    return estimate([values[0][seed] - values[1][seed] for seed in seeds]) if seeds else None


def _cells() -> list[Cell]:
    return [
        Cell(
            _name(data, stages, prior, space),
            f"{data}-dragdp",
            {"attack": {**attack, "prior": _PRIORS[prior], "space": space, "control_size": 0}},
        )
        for data, (stages, attack), prior, space in product(_SETS, _STAGES.items(), _PRIORS, _SPACES)
    ]


def _name(data: str, stages: str, prior: str, space: str) -> str:
    return f"{data}-{stages}-{prior}-{space}"


def _compare(summaries: Sequence[Summary]) -> list[str]:
    """Compare one stage with the others under the same prior and in the same coordinates, in sentences."""
    done = {summary.cell.name: summary for summary in summaries if "mse" in summary.scores}
    return list(_sentences(done))


def _sentences(done: dict[str, Summary]) -> Iterator[str]:
    for data, prior, space, stages in product(_SETS, _PRIORS, _SPACES, list(_STAGES)[1:]):
        one = done.get(_name(data, "one", prior, space))
        other = done.get(_name(data, stages, prior, space))
        difference = paired(other, one) if one and other else None
        if difference is None:
            continue
        seeds = len(difference.values)
        interval = "one seed"
        if difference.low is not None and difference.high is not None:
            interval = f"95 % interval {difference.low:.2g} to {difference.high:.2g}, {seeds} seeds"
        yield (
            f"{data}, {prior}, {space}: the MSE of {stages} minus that of one is {difference.mean:.2g} ({interval})."
        )


STUDIES = {
    "dragd-ingredients": Study(
        "dragd-ingredients",
        "Prior, coordinates, stages and residual of the server's attacks, apart",
        "Palimpsest",
        _cells,
        notes=(
            "One: direct-difference. Two: dragd. Two-printed: dragd without the residual of stage 1. Joint: one search "
            "for all samples. Mean: each search starts from the mean public image. dragdp is two-mean-spectrum.",
            "All attacks of a data set and a seed see the same observations and take the same number of iterations. "
            "Each seed draws weights, samples and batches anew.",
        ),
        conclude=_compare,
    )
}
"""The study by the name of its command."""
