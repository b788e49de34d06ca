"""Measures of forgetting: accuracy, membership inference, and distance from exact retraining."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.datasets import SampleSet
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
    others = data.held_out.subset(_with_classes_of(data.held_out, forgotten))
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
    return Forgetting(before, after, len(others), exact, distance)


def compare_models(
    original: nn.Module, unlearned: nn.Module, *, forgotten: SampleSet, others: SampleSet
) -> Forgetting:
    """Compare a user's two models on the forgotten samples and on others, without retraining.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.
        forgotten: The forgotten samples.
        others: Samples that neither model was trained on. Those of the forgotten samples' classes are the nonmembers of
            the membership test.

    Returns:
        The behavior of both models.

    Raises:
        UnlearningError: No other sample has the class of a forgotten sample.
    """
    nonmembers = _with_classes_of(others, forgotten)

    def behavior(model: nn.Module) -> Behavior:
        on_forgotten, on_others = predict(model, forgotten.inputs), predict(model, others.inputs)
        return Behavior(
            forgotten=top1_accuracy(on_forgotten, forgotten.labels),
            test=top1_accuracy(on_others, others.labels),
            membership=membership_score(
                _losses(on_forgotten, forgotten),
                _losses(on_others, others)[nonmembers],
            ),
        )

    with torch.no_grad():
        return Forgetting(behavior(original), behavior(unlearned), len(nonmembers))


def _with_classes_of(others: SampleSet, forgotten: SampleSet) -> Tensor:
    """Return the rows of the samples whose class is a forgotten sample's, at least one."""
    rows = torch.isin(others.labels, forgotten.labels.unique()).nonzero().squeeze(1)
    if not rows.numel():
        raise UnlearningError(
            "No held-out sample has a forgotten sample's class, so membership can't be tested. Hold out more samples."
        )
    return rows


def _divergence(expected: Tensor, predicted: Tensor) -> float:
    logits = predicted.double().log_softmax(1), expected.double().log_softmax(1)
    return F.kl_div(*logits, log_target=True, reduction="batchmean").item()


def _losses(logits: Tensor, samples: SampleSet) -> Tensor:
    return F.cross_entropy(logits, samples.labels, reduction="none")
