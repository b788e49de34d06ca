"""Measures of forgetting: accuracy, membership inference, and distance from exact retraining."""

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.datasets import ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, accuracy, parameter_distance, predict, top1_accuracy
from palimpsest.metrics import Behavior, Distance, Forgetting, membership_score
from palimpsest.models import load_parameters
from palimpsest.storage import Parameters
from palimpsest.unlearning.scenarios import Request


def measure_forgetting(
    original: Parameters,
    unlearned: Parameters,
    retrained: Parameters,
    federation: Federation,
    request: Request,
) -> Forgetting:
    """Compare the original, unlearned and retrained model on retained, forgotten, test and held-out samples.

    Membership inference compares the forgotten samples with held-out samples of the same classes. With other classes,
    it would measure how difficult a forgotten class is.

    Args:
        original: State dict before unlearning.
        unlearned: State dict after unlearning.
        retrained: State dict after exact retraining.
        federation: Data, model and device.
        request: Samples that were forgotten and retained.

    Returns:
        The behavior of each model, and the distance of the unlearned model from retraining.

    Raises:
        UnlearningError: No held-out sample has the class of a forgotten sample.
        CheckpointError: The parameters do not fit the architecture.
    """
    data = federation.data
    forgotten = data.train.subset(request.rows)
    others = _of_same_classes(data.held_out, forgotten)
    retained = data.train.subset(request.retained_rows)
    network = federation.network().to(federation.device)

    def behavior(parameters: Parameters) -> tuple[Behavior, Tensor]:
        load_parameters(network, parameters)
        on_forgotten = predict(network, forgotten.images)
        on_test = predict(network, data.test.images)
        return Behavior(
            retained=accuracy(network, retained),
            forgotten=top1_accuracy(on_forgotten, forgotten.labels),
            test=top1_accuracy(on_test, data.test.labels),
            membership=membership_score(
                _losses(on_forgotten, forgotten), _losses(predict(network, others.images), others)
            ),
        ), on_test

    before, _ = behavior(original)
    after, predicted = behavior(unlearned)
    # After exact unlearning, both are the same model, which needs to be evaluated only once.
    exact, expected = (after, predicted) if retrained is unlearned else behavior(retrained)
    absolute = parameter_distance(unlearned, retrained, network)
    whole = parameter_distance(original, retrained, network)
    distance = Distance(
        absolute=absolute,
        relative=absolute / whole if whole else None,
        divergence=_divergence(expected, predicted),
        agreement=top1_accuracy(predicted, expected.argmax(1)),
    )
    return Forgetting(before, after, exact, distance, len(others))


def _of_same_classes(held_out: ImageSet, forgotten: ImageSet) -> ImageSet:
    same_classes = torch.isin(held_out.labels, forgotten.labels.unique())
    others = held_out.subset(same_classes.nonzero().squeeze(1))
    if not len(others):
        raise UnlearningError(
            "No held-out sample has a forgotten sample's class, so membership can't be tested. Hold out more samples."
        )
    return others


def _divergence(expected: Tensor, predicted: Tensor) -> float:
    logits = predicted.double().log_softmax(1), expected.double().log_softmax(1)
    return F.kl_div(*logits, log_target=True, reduction="batchmean").item()


def _losses(logits: Tensor, images: ImageSet) -> Tensor:
    return F.cross_entropy(logits, images.labels, reduction="none")
