"""Readings of models for the comparison with retrainings, and retrainings with other seeds."""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector

from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Schedule, Training, predict, top1_accuracy
from palimpsest.metrics import ModelReading
from palimpsest.metrics.membership_signals import scaled_confidence
from palimpsest.models import load_parameters
from palimpsest.randomness import derive_seed
from palimpsest.storage import Parameters
from palimpsest.unlearning.scenarios import Request


def read_model(parameters: Parameters, federation: Federation, request: Request) -> ModelReading:
    """Read what the comparison with retrainings needs of a model.

    Args:
        parameters: State dict of the model.
        federation: Data, model and device.
        request: Samples that were forgotten and retained.

    Returns:
        Outputs on the forgotten, held-out and test samples, and the parameters.

    Raises:
        UnlearningError: No held-out sample has the class of a forgotten sample.
        CheckpointError: The parameters do not fit the architecture.
    """
    data = federation.data
    network = load_parameters(federation.network().to(federation.device), parameters)
    forgotten = data.train.subset(request.rows)
    rows = torch.isin(data.held_out.labels, forgotten.labels.unique()).nonzero().squeeze(1)
    if not len(rows):
        raise UnlearningError(
            "No held-out sample has a forgotten sample's class, so losses can't be compared. Hold out more samples."
        )
    others = data.held_out.subset(rows)
    logits, on_test = predict(network, forgotten.images), predict(network, data.test.images)
    return ModelReading(
        confidences=scaled_confidence(logits, forgotten.labels),
        losses=F.cross_entropy(logits, forgotten.labels, reduction="none"),
        held_out_losses=F.cross_entropy(predict(network, others.images), others.labels, reduction="none"),
        correct=logits.argmax(1) == forgotten.labels,
        predictions=on_test.argmax(1),
        test_accuracy=top1_accuracy(on_test, data.test.labels),
        parameters=parameters_to_vector(network.parameters()).detach().cpu(),
    )


def retrain_again(
    original: Training, federation: Federation, request: Request, *, count: int
) -> Iterator[Parameters]:
    """Retrain exactly with other seeds, but from the original's initialization.

    Shuffles and client draws differ. With another initialization, the parameters of any two models would be far apart,
    and the distance would not show what was forgotten.

    Args:
        original: Record of the original training, for its number of rounds.
        federation: Data, model, settings and seed.
        request: Samples to forget and to retain.
        count: Number of retrainings.

    Yields:
        State dict of each retrained model.
    """
    for index in range(count):
        again = replace(federation, seed=derive_seed(federation.seed, "unlearning", "yardstick", index))
        schedule = Schedule(again.schedule(ensure=request.clients).rounds[: len(original.rounds)])
        yield again.run("retrain", request.retained, schedule, start=federation.network()).parameters
