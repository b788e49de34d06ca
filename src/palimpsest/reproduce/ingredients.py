"""Ingredients of a server's attack, apart: prior, coordinates, stages and residual; what two stages add to one."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from palimpsest.reproduce.paired import Comparison, compare, sentences
from palimpsest.reproduce.server_cells import SETS
from palimpsest.reproduce.study import Cell, Study
from palimpsest.reproduce.summary import Summary

_STAGES: dict[str, dict[str, Any]] = {
    "one": {"name": "direct-difference"},
    "two": {"name": "dragd"},
    "two-printed": {"name": "dragd", "residual": False},
    "joint": {"name": "joint"},
}
_PRIORS = {"noise": None, "mean": "mean"}
_SPACES = ("pixels", "box", "spectrum")


def _cells() -> list[Cell]:
    return [
        Cell(
            _name(data, stages, prior, space),
            f"{data}-dragdp",
            {"attack": {**attack, "prior": _PRIORS[prior], "space": space, "control_size": 0}},
        )
        for data, (stages, attack), prior, space in product(SETS, _STAGES.items(), _PRIORS, _SPACES)
    ]


def _name(data: str, stages: str, prior: str, space: str) -> str:
    return f"{data}-{stages}-{prior}-{space}"


def _conclude(summaries: Sequence[Summary]) -> list[str]:
    """Compare one stage with the others under the same prior and in the same coordinates, in sentences."""
    done = {summary.cell.name: summary for summary in summaries if "mse" in summary.scores}
    comparisons = list[Comparison]()
    for data, prior, space, stages in product(SETS, _PRIORS, _SPACES, list(_STAGES)[1:]):
        one = done.get(_name(data, "one", prior, space))
        other = done.get(_name(data, stages, prior, space))
        if one and other:
            subject = f"{data}, {prior}, {space}: the MSE of {stages} minus that of one"
            comparisons += filter(None, [compare(subject, other, one)])
    return sentences(comparisons)


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
        conclude=_conclude,
    )
}
"""The study by the name of its command."""
