"""DRAGD's table (arXiv 2507.09602), unlearning by one step, and gradients with noise."""

from itertools import product
from typing import Any

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
    ascent_step,
    server_cell,
)
from palimpsest.reproduce.study import Cell, Study

# Knowledge that is given to each attack that can use it, beside its own settings.
_KNOWLEDGE: dict[str, dict[str, Any]] = {
    "prior": {"prior": "mean", "labels": "known"},
    "inferred": {"labels": "inferred"},
}


def _table() -> list[Cell]:
    """Make a cell for each attack as published, and others in which all attacks have the same knowledge."""
    published = [
        server_cell(f"{data}-{name}", data, attack) for data in SETS for name, attack in ATTACKS.items()
    ]
    return published + [
        server_cell(f"{data}-{name}-{knowledge}", data, attack | changes)
        for data, (knowledge, changes), (name, attack) in product(SETS, _KNOWLEDGE.items(), ATTACKS.items())
        if not name.endswith("-printed")
    ]


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
        server_cell(
            f"{name}-{attack}",
            dataset,
            ATTACKS[attack],
            data=data,
            observation={"retained": retained, "forgotten": forgotten},
            unlearning=ascent_step(0.01, batches * forgotten),
        )
        for name, (dataset, retained, forgotten, batches, data) in kinds.items()
        for attack in ("dragdp", "dragd")
    ]


STUDIES = {
    study.name: study
    for study in (
        Study(
            "dragd-table",
            "Reconstruction by the server: every attack on the same observations",
            "DRAGD, table of MNIST, CIFAR-10 and LFW; its values have no common scale and are not repeated",
            _table,
            columns=(RETAINED, *PRIOR, PARAMETER_DISTANCE),
            notes=(
                FRESH,
                PAIRED,
                RETAINED_NOTE,
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
            columns=(RETAINED, *PRIOR, PARAMETER_DISTANCE),
            notes=(FRESH, PAIRED, RETAINED_NOTE, DISTANCE_NOTE),
        ),
    )
}
"""All studies of server attacks by the name of their command."""
