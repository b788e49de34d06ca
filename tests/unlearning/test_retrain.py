import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Schedule, train
from palimpsest.unlearning import Place, Request, Retraining, make_request


def retrain(federation, original, request, scratch=None):
    schedule = Schedule(tuple(one.drawn for one in original.rounds))
    return Retraining()(original, request, federation, schedule=schedule, place=Place(scratch))


def test_gives_the_original_bits_if_nothing_is_forgotten(data, resnet, config):
    settings = config(rounds=2, fraction=0.4, momentum=0.9)
    original = train(Federation(data, resnet, settings, 1), ensure=(2,))
    result = retrain(Federation(data, resnet, settings, 1), original, Request({}, data.clients))
    assert result.rounds == original.rounds
    for name, value in original.parameters.items():
        assert torch.equal(value, result.parameters[name])


def test_equals_training_on_the_retained_samples(data, lenet, config):
    original = train(Federation(data, lenet, config(), 1))
    request = make_request(UnlearningConfig(count=20), data, seed=1)
    result = retrain(Federation(data, lenet, config(), 1), original, request)
    direct = train(Federation(data, lenet, config(), 1), clients=request.retained)
    for name, value in direct.parameters.items():
        assert torch.equal(value, result.parameters[name])


def test_trains_without_a_client_that_left(data, lenet, config):
    original = train(Federation(data, lenet, config(), 1), ensure=(2,))
    request = make_request(UnlearningConfig(scenario="client"), data, seed=1)
    result = retrain(Federation(data, lenet, config(), 1), original, request)
    for before, after in zip(original.rounds, result.rounds, strict=True):
        assert after.used == tuple(client for client in before.used if client != 2)
        assert after.excluded == ({2: "no data"} if 2 in before.drawn else {})


def test_does_not_require_replies_of_a_client_that_left(data, lenet, config):
    settings = config(minimum_replies=3)
    original = train(Federation(data, lenet, settings, 1), ensure=(2,))
    request = make_request(UnlearningConfig(scenario="client"), data, seed=1)
    result = retrain(Federation(data, lenet, settings, 1), original, request)
    assert min(len(one.used) for one in result.rounds) == 2
