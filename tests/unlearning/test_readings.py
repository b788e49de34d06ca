"""Readings of models, and the positive controls: each planted failure is flagged, and exact retraining is not."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from palimpsest.config import ModelConfig, UnlearningConfig
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Schedule, parameter_distance, train
from palimpsest.metrics import compare_with_retrainings
from palimpsest.metrics.membership_signals import scaled_confidence
from palimpsest.models import load_parameters
from palimpsest.registry import METHODS
from palimpsest.unlearning import Place, make_request, read_model, retrain_again

RETRAININGS = 6
FALSE_ALARM = 0.05


def noise(count: int, generator: torch.Generator) -> ImageSet:
    """Draw images and labels that can only be memorized."""
    images = torch.rand(count, 1, 8, 8, generator=generator)
    return ImageSet("noise", images, torch.randint(3, (count,), generator=generator), 3)


@pytest.fixture(scope="module")
def memorizing(config):
    """Train a federation that memorizes noise, and retrain it with other seeds."""
    generator = torch.Generator().manual_seed(0)
    images, held_out = noise(60, generator), noise(60, generator)
    data = FederatedData(images, torch.arange(60).split(20), held_out, held_out, held_out, held_out, ())
    settings = config(clients=3, fraction=1.0, rounds=12, local_epochs=4, batch_size=5, momentum=0.0)
    federation = Federation(data, ModelConfig(name="mlp", width=64), settings, 1)
    original = train(federation)
    request = make_request(UnlearningConfig(count=20), data, seed=1)
    again = list(retrain_again(original, federation, request, count=RETRAININGS + 1))
    return federation, original, request, again


def judge(memorizing, parameters):
    federation, _, request, again = memorizing
    others = [read_model(one, federation, request) for one in again[:RETRAININGS]]
    reading = read_model(parameters, federation, request)
    return compare_with_retrainings(reading, others, false_alarm=FALSE_ALARM)


def unlearn_by(name, memorizing):
    federation, original, request, _ = memorizing
    schedule = Schedule(tuple(one.drawn for one in original.rounds))
    method = METHODS.get(name)()
    return method(original, request, federation, schedule=schedule, place=Place()).parameters


@pytest.mark.parametrize("name", ["unchanged", "last-layer", "overfit-retained"])
def test_a_planted_failure_is_flagged(memorizing, name):
    flagged = judge(memorizing, unlearn_by(name, memorizing)).flagged
    assert {"forgotten_loss", "loss_gap"} <= set(flagged)


def test_exact_retraining_is_not_flagged(memorizing):
    """The false alarm is 5 % for each of the two; these seeds are fixed."""
    assert judge(memorizing, unlearn_by("retrain", memorizing)).flagged == []
    assert judge(memorizing, memorizing[3][RETRAININGS]).flagged == []


def test_a_reading_equals_the_models_outputs(memorizing):
    federation, original, request, _ = memorizing
    reading = read_model(original.parameters, federation, request)
    model = load_parameters(federation.network(), original.parameters)
    data = federation.data
    images, labels = data.train.images[request.rows], data.train.labels[request.rows]
    with torch.no_grad():
        logits, on_test = model(images), model(data.test.images)
    torch.testing.assert_close(reading.losses, F.cross_entropy(logits, labels, reduction="none"))
    assert torch.equal(reading.correct, logits.argmax(1) == labels)
    assert torch.equal(reading.predictions, on_test.argmax(1))
    assert reading.test_accuracy == (on_test.argmax(1) == data.test.labels).double().mean()
    assert len(reading.parameters) == sum(one.numel() for one in model.parameters())
    assert len(reading.held_out_losses) == 60


def test_confidences_are_log_odds():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 90.0, 1.0]], dtype=torch.float64)
    p = logits.softmax(1)[0, 2]
    result = scaled_confidence(logits, torch.tensor([2, 1]))
    torch.testing.assert_close(result[0], (p / (1 - p)).log())
    assert result[1].isfinite()


def test_retrainings_share_the_initialization_and_differ_by_their_shuffles(memorizing):
    federation, original, request, again = memorizing
    network = federation.network()
    assert parameter_distance(again[0], again[1], network) > 0
    frozen = dataclasses.replace(
        federation, config=federation.config.model_copy(update={"learning_rate": 1e-12})
    )
    for one in retrain_again(original, frozen, request, count=2):
        assert parameter_distance(one, dict(network.state_dict()), network) < 1e-6


def test_needs_held_out_samples_of_the_classes(memorizing):
    federation, original, request, _ = memorizing
    nothing = federation.data.held_out.subset(torch.empty(0, dtype=torch.int64))
    bare = dataclasses.replace(federation, data=dataclasses.replace(federation.data, held_out=nothing))
    with pytest.raises(UnlearningError, match="No held-out sample"):
        read_model(original.parameters, bare, request)
