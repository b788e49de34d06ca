import pytest
import torch
import torch.nn.functional as F

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Reply, Schedule, predict, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import NegatedPseudoGradients, Negation, Place, make_request


def run(method, federation, original, request):
    return method(original, request, federation, schedule=Schedule(()), place=Place())


def test_moves_against_the_weighted_mean_update():
    current = {"weight": torch.tensor([1.0, 2.0]), "count": torch.tensor([5.0])}
    replies = [
        Reply(0, 1, {"weight": torch.tensor([2.0, 2.0]), "count": torch.tensor([9.0])}, 0.0),
        Reply(1, 3, {"weight": torch.tensor([4.0, 0.0]), "count": torch.tensor([9.0])}, 0.0),
    ]
    moved, state = Negation(2.0)(current, replies, {}, round_index=0, trainable=["weight"])
    # The mean is [3.5, 0.5], so the update is [2.5, -1.5].
    assert moved["weight"].tolist() == [-4.0, 5.0]
    assert moved["count"].tolist() == [5.0]
    assert state == {}


@pytest.mark.parametrize("rate", [0.5, 3.0])
def test_one_step_of_sgd_becomes_one_step_of_ascent(data, lenet, config, rate):
    """A full batch and one local epoch make the pseudo-gradient the gradient itself."""
    settings = config(rounds=2, batch_size=99)
    federation = Federation(data, lenet, settings, 1)
    original = train(federation)
    request = make_request(UnlearningConfig(count=10, clients=(1,)), data, seed=1)
    method = NegatedPseudoGradients(unlearning_rate=rate, rounds=1, fine_tune_rounds=0)
    result = run(method, federation, original, request)
    model = load_parameters(federation.network(), original.parameters)
    F.cross_entropy(model(data.train.images[request.rows]), data.train.labels[request.rows]).backward()
    for name, parameter in model.named_parameters():
        expected = parameter + rate * settings.learning_rate * parameter.grad
        torch.testing.assert_close(result.parameters[name], expected.detach(), rtol=1e-3, atol=1e-5)


def test_the_loss_on_forgotten_samples_rises_then_the_model_recovers(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=8, local_epochs=3), 1)
    original = train(federation)
    request = make_request(UnlearningConfig(count=20, clients=(1, 3)), data, seed=1)
    forgotten = data.train.subset(request.rows)

    def loss(parameters):
        logits = predict(load_parameters(federation.network(), parameters), forgotten.images)
        return F.cross_entropy(logits, forgotten.labels)

    negated = run(NegatedPseudoGradients(fine_tune_rounds=0), federation, original, request)
    assert loss(negated.parameters) > 2 * loss(original.parameters)
    assert [one.drawn for one in negated.rounds] == [(1, 3)]
    recovered = run(NegatedPseudoGradients(rounds=2, fine_tune_rounds=3), federation, original, request)
    assert len(recovered.rounds) == 5
