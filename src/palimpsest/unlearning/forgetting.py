"""How well was it forgotten: accuracies, membership inference, distance from exact retraining."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.config import ModelConfig
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.federation import accuracy, parameter_distance, predict, share_right
from palimpsest.models import build_model, load_parameters
from palimpsest.storage import Parameters, Record
from palimpsest.unlearning.membership import Membership, membership_score
from palimpsest.unlearning.scenarios import Request


@dataclass(frozen=True)
class Behaviour:
    """What a model does with the samples at stake; accuracies are shares in [0, 1].

    Args:
        retained: Accuracy on the retained training samples.
        forgotten: Accuracy on the forgotten ones.
        test: Accuracy on the test split.
        membership: How well the forgotten samples can be told from samples that were never trained on.
    """

    retained: float
    forgotten: float
    test: float
    membership: Membership


@dataclass(frozen=True)
class Distance:
    """How far the unlearned model is from the exactly retrained one.

    Args:
        absolute: L2 distance of the parameters.
        relative: The same in units of the original model's distance from the retrained one: 0 is exact
            unlearning, 1 no nearer than before. None where the original is the retrained model.
        divergence: Mean KL divergence of the test predictions, retrained from unlearned, in nats.
        agreement: The share of test images that both put into one class, in [0, 1].
    """

    absolute: float
    relative: float | None
    divergence: float
    agreement: float


@dataclass(frozen=True)
class Forgetting(Record):
    """What unlearning did: the original, the unlearned and the exactly retrained model side by side."""

    original: Behaviour
    unlearned: Behaviour
    retrained: Behaviour
    distance: Distance
    others: int
    """How many samples, never trained on and of the forgotten samples' classes, membership was tested
    against."""


def measure_forgetting(
    original: Parameters,
    unlearned: Parameters,
    retrained: Parameters,
    data: FederatedData,
    request: Request,
    *,
    model: ModelConfig,
    device: str = "cpu",
) -> Forgetting:
    """Compare three models on the retained, the forgotten, the test and the held-out samples.

    Members are compared with held-out samples of their own classes: with others, an attack on a forgotten
    class would measure how hard the class is.

    Args:
        original: The model before unlearning.
        unlearned: The model after it.
        retrained: The model that exact retraining gives.
        data: The images.
        request: What was forgotten.
        model: The architecture.
        device: Where predictions are computed.

    Raises:
        UnlearningError: No held-out sample has a forgotten sample's class.
        CheckpointError: Parameters do not fit the architecture.
    """
    forgotten = data.train.subset(request.rows)
    same_classes = torch.isin(data.held_out.labels, forgotten.labels.unique())
    others = data.held_out.subset(same_classes.nonzero().squeeze(1))
    if not len(others):
        raise UnlearningError(
            "No held-out sample has a forgotten sample's class, so membership can't be tested: hold out more."
        )
    retained = data.train.subset(request.retained_rows)
    train = data.train
    network = build_model(model, shape=train.shape, classes=train.classes, seed=0).to(device)

    def behaviour(parameters: Parameters) -> tuple[Behaviour, Tensor]:
        load_parameters(network, parameters)
        on_forgotten = predict(network, forgotten.images)
        on_test = predict(network, data.test.images)
        return Behaviour(
            retained=accuracy(network, retained),
            forgotten=share_right(on_forgotten, forgotten.labels),
            test=share_right(on_test, data.test.labels),
            membership=membership_score(
                _losses(on_forgotten, forgotten), _losses(predict(network, others.images), others)
            ),
        ), on_test

    before, _ = behaviour(original)
    after, predicted = behaviour(unlearned)
    # After exact unlearning they are one model, and asked once.
    exact, expected = (after, predicted) if retrained is unlearned else behaviour(retrained)
    absolute = parameter_distance(unlearned, retrained, network)
    whole = parameter_distance(original, retrained, network)
    distance = Distance(
        absolute=absolute,
        relative=absolute / whole if whole else None,
        divergence=_divergence(expected, predicted),
        agreement=share_right(predicted, expected.argmax(1)),
    )
    return Forgetting(before, after, exact, distance, len(others))


def _divergence(expected: Tensor, predicted: Tensor) -> float:
    logits = predicted.double().log_softmax(1), expected.double().log_softmax(1)
    return F.kl_div(*logits, log_target=True, reduction="batchmean").item()


def _losses(logits: Tensor, images: ImageSet) -> Tensor:
    return F.cross_entropy(logits, images.labels, reduction="none")
