"""Studies of the batch: the number of retained and of forgotten samples whose gradient the server observes."""

from itertools import product

from palimpsest.reproduce.server_cells import (
    ATTACKS,
    DISTANCE_NOTE,
    FRESH,
    PAIRED,
    PARAMETER_DISTANCE,
    PRIOR,
    RETAINED,
    RETAINED_NOTE,
    SETS,
    server_cell,
)
from palimpsest.reproduce.study import Cell, Study

_FORGOTTEN = (1, 2, 4, 16, 64, 128)
_RETAINED = (1, 4, 16, 64)


def _batch_size() -> list[Cell]:
    """Make cells that forget the same samples with the same model and differ in the batch size only."""
    return [
        server_cell(
            f"{data}-forgotten-{size}",
            data,
            ATTACKS["dragdp"],
            observation={"retained": 4, "forgotten": size},
            unlearning={"count": max(_FORGOTTEN)},
            position=float(size),
            series=data,
        )
        for data, size in product(SETS, _FORGOTTEN)
    ]


def _retained() -> list[Cell]:
    """Make cells that forget the same samples, each in a batch with this many retained ones."""
    return [
        server_cell(
            f"{data}-retained-{size}",
            data,
            ATTACKS["dragdp"],
            observation={"retained": size, "forgotten": 1},
            position=float(size),
            series=data,
        )
        for data, size in product(SETS, _RETAINED)
    ]


STUDIES = {
    study.name: study
    for study in (
        Study(
            "dragd-batch-size",
            "Reconstruction by the number of forgotten samples in a batch",
            "DRAGD, sensitivity to the unlearning batch size, as its summary suggests",
            _batch_size,
            "curve",
            axis="forgotten samples in a batch",
            log_axis=True,
            columns=(RETAINED, *PRIOR, PARAMETER_DISTANCE),
            notes=(FRESH, PAIRED, RETAINED_NOTE, DISTANCE_NOTE),
        ),
        Study(
            "dragd-retained",
            "Reconstruction by the number of retained samples in a batch",
            "DRAGD, whose batch sizes are unknown",
            _retained,
            "curve",
            axis="retained samples in a batch",
            log_axis=True,
            columns=(RETAINED, *PRIOR, PARAMETER_DISTANCE),
            notes=(FRESH, RETAINED_NOTE, DISTANCE_NOTE),
        ),
    )
}
"""The studies by the name of their command."""
