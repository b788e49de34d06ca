"""Tiny settings of the forgetting study, and a run's measurements made up."""

from typing import Any

import torch
from tests.support.evidence import made_up

from palimpsest.membership import assess
from palimpsest.metrics import (
    Behavior,
    Distance,
    Forgetting,
    Membership,
    RelearnTime,
    RetrainingComparison,
    spread,
)
from palimpsest.pipeline.results.rates import forgetting_rates
from palimpsest.reproduce.forgetting_run import Measured
from palimpsest.reproduce.forgetting_yardstick import Yardstick

TINY: dict[str, Any] = {
    "data": {"name": "digits", "image_size": None, "train_size": 60, "auxiliary_size": 20},
    "model": {"name": "mlp", "width": 4},
    "federation": {"clients": 2, "fraction": 1.0, "rounds": 1, "local_epochs": 1},
    "unlearning": {"count": 10},
}
"""Configuration keys of a run that takes a second."""


def measured(
    *, memory: float = 2.0, remains: float = 0.0, accuracy: float = 0.5, seconds: float = 2.0
) -> Measured:
    """Make up a run's measurements; see `made_up` for the first two arguments."""
    evidence = made_up(forgotten=100, retained=20, shadows=4, population=20, memory=memory, remains=remains)
    behavior = Behavior(accuracy, accuracy, Membership(0.5, 0.01), accuracy)
    forgetting = Forgetting(behavior, behavior, 100, behavior, Distance(1.0, 0.5, 0.1, 0.9))
    return Measured(
        forgetting,
        forgetting_rates(forgetting, {"retained": 400, "forgotten": 100, "test": 200}, classes=10),
        assess(evidence, forgotten=torch.arange(100, 200), retained=torch.arange(20)),
        Yardstick(
            RetrainingComparison({"test_accuracy": spread(accuracy, [0.4, 0.5, 0.6])}, 0.05, 3),
            RelearnTime(2, 5, 50, 0.4),
        ),
        seconds,
    )
