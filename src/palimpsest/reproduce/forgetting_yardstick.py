"""Yardstick of the forgetting study: distance from retraining beside the spread of retrainings, and relearn time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch

from palimpsest.federation import Federation, Training
from palimpsest.metrics import (
    ModelReading,
    RelearnTime,
    RetrainingComparison,
    compare_with_retrainings,
    relearn_time,
)
from palimpsest.storage import Parameters, Record
from palimpsest.unlearning import Request, read_model, relearn_losses, retrain_again

RETRAININGS = 4
"""Retrainings with other seeds in each run."""


@dataclass(frozen=True)
class Readings(Record):
    """Readings of the retrainings with other seeds, the fields of `ModelReading` stacked.

    Args:
        tensors: Each field by name, `[retrainings, ...]`.
    """

    tensors: Parameters

    @property
    def models(self) -> list[ModelReading]:
        """One reading for each retraining."""
        rest = {name: values for name, values in self.tensors.items() if name != "test_accuracy"}
        return [
            ModelReading(test_accuracy=accuracy, **{name: values[index] for name, values in rest.items()})
            for index, accuracy in enumerate(self.tensors["test_accuracy"].tolist())
        ]


@dataclass(frozen=True)
class Yardstick(Record):
    """An unlearned model beside retrainings with other seeds.

    Args:
        comparison: Its distance from them, beside their distances from each other.
        relearn: Steps until it knows the forgotten samples again, beside those of exact retraining.
    """

    comparison: RetrainingComparison
    relearn: RelearnTime


def read_retrainings(original: Training, federation: Federation, request: Request) -> Readings:
    """Retrain with other seeds, and read the models.

    Args:
        original: The original training.
        federation: Data, model, settings and seed.
        request: Samples to forget and to retain.
    """
    again = retrain_again(original, federation, request, count=RETRAININGS)
    models = [read_model(parameters, federation, request) for parameters in again]
    return Readings(
        {
            field.name: torch.stack([torch.as_tensor(getattr(model, field.name)) for model in models])
            for field in fields(ModelReading)
        }
    )


def measure_yardstick(
    unlearned: Parameters,
    retrained: Parameters,
    original: Training,
    readings: Sequence[ModelReading],
    federation: Federation,
    request: Request,
) -> Yardstick:
    """Compare an unlearned model with retrainings.

    Args:
        unlearned: State dict of the unlearned model.
        retrained: State dict of the exactly retrained model, whose relearn time is the reference.
        original: The original training. Its mean loss on the forgotten samples is the target of relearning.
        readings: Readings of the retrainings with other seeds.
        federation: Data, model, settings and seed.
        request: Samples that were forgotten.
    """
    target = relearn_losses(original.parameters, federation, request, steps=0)[0].item()
    return Yardstick(
        compare_with_retrainings(read_model(unlearned, federation, request), readings),
        relearn_time(
            relearn_losses(unlearned, federation, request),
            relearn_losses(retrained, federation, request),
            target,
        ),
    )
