"""Aggregated proofs: what an auditor learns from the mean over a group, by the group's size."""

from collections.abc import Callable
from functools import partial
from typing import Any

from palimpsest.metrics import Metrics, Rate, Reading
from palimpsest.metrics.schema_aggregation import AggregationMetrics
from palimpsest.reproduce.defenses import MEAN_IMAGE, SOUND
from palimpsest.reproduce.study import Cell, Column, Study

CLIENT, FORGOTTEN = 128, 384
"""Samples of each client, and of the three clients that leave."""
# Seven clients hold the same number of images, so that every group has exactly its size.
_FEDERATION: dict[str, Any] = {
    "data": {"train_size": 7 * CLIENT, "auxiliary_size": 600},
    # All clients train in every round: after three have left, a fraction of them would be too few.
    "federation": {"clients": 7, "fraction": 1.0},
    "unlearning": {"scenario": "client", "clients": [0, 1, 2]},
}
_SIZES: dict[int, dict[str, Any]] = {
    **{size: {"granularity": "client", "group_size": size} for size in (1, 2, 4, 8, 16, 64)},
    CLIENT: {"granularity": "client"},
    FORGOTTEN: {"granularity": "federation"},
}
# More groups and a smaller network than in the preset for single images, and early stopping: the means of large groups
# differ little, and a network that is trained to the end learns their noise.
_ATTACK = {
    "queries": 6,
    "width": 32,
    "epochs": 16,
    "schedule": "constant",
    "learning_rate": 0.001,
    "patience": 4,
    "validation": 0.1,
}


def _cells() -> list[Cell]:
    return [
        Cell(
            "all" if size == FORGOTTEN else f"{size}",
            "digits",
            {**_FEDERATION, "proofs": proofs, "attack": _ATTACK},
            position=float(size),
        )
        for size, proofs in _SIZES.items()
    ]


def _of_aggregation(metrics: Metrics, read: Callable[[AggregationMetrics], Reading | None]) -> Reading | None:
    return None if metrics.aggregation is None else read(metrics.aggregation)


def _group_mean(name: str) -> Callable[[AggregationMetrics], Reading | None]:
    def read(aggregation: AggregationMetrics) -> Reading | None:
        value = aggregation.group_mean and aggregation.group_mean.score(name)
        return None if value is None else Reading(value)

    return read


def _linkage(name: str) -> Callable[[AggregationMetrics], Reading | None]:
    def read(aggregation: AggregationMetrics) -> Reading | None:
        rate: Rate | None = aggregation.linkage and getattr(aggregation.linkage, name)
        return rate and Reading(rate.value, (rate.low, rate.high), rate.chance)

    return read


GROUP_MEAN = "MSE of the group's true mean image"
LINKED, LINKED_OTHERS = "linkage AUC", "linkage AUC, other groups"
"""Headings of columns that the figure shows."""


def _column(
    heading: str, read: Callable[[AggregationMetrics], Reading | None], form: str, *, area: bool = False
) -> Column:
    return Column(heading, partial(_of_aggregation, read=read), form, area=area)


STUDIES = {
    "aggregates": Study(
        "aggregates",
        "Aggregated proofs: error, identification, linkage and verification by the size of a group",
        "Palimpsest",
        _cells,
        picture="aggregates",
        axis="forgotten images behind a proof",
        log_axis=True,
        columns=(
            MEAN_IMAGE,
            _column(GROUP_MEAN, _group_mean("mse"), ".4f"),
            _column("identified by it", _group_mean("identification_top1"), ".1%"),
            _column(LINKED, _linkage("auc"), ".3f", area=True),
            _column(LINKED_OTHERS, _linkage("auc_other_groups"), ".3f", area=True),
            _column("linkage accuracy", _linkage("accuracy"), ".1%"),
            *SOUND,
        ),
        notes=(
            f"A cell's name: forgotten images behind a proof. {CLIENT}: all images of a client. All: a single proof of "
            f"the {FORGOTTEN} images of the three clients that leave, as secure aggregation reveals it.",
            "Scores compare each forgotten image with the reconstruction of its group. Of a group, at most one image "
            "can be identified.",
            "The group's true mean image is what no attacker has: the best answer to a proof that reveals the mean and "
            "nothing else.",
            "Linkage AUC: area under the ROC curve of the question whether a candidate is behind a proof, against "
            "images that were never trained on, and against forgotten images of other groups; 0.5 is chance.",
            "Verifiers: area under the ROC curve against the forger that deceives the verifier best; 0.5 is chance. "
            "With few proofs, the areas of all but the spot check rest on few numbers. The spot check's challenges are "
            "groups of the auditor's images, which a single sum over all clients can't answer.",
        ),
    )
}
"""The study by the name of its command."""
