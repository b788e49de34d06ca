import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Schedule, train
from palimpsest.unlearning import Place, Unchanged, make_request


def test_returns_the_original_bits_without_a_round(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=1), 1)
    original = train(federation)
    request = make_request(UnlearningConfig(count=5), data, seed=1)
    result = Unchanged()(original, request, federation, schedule=Schedule(()), place=Place())
    assert result.rounds == []
    assert result.parameters.keys() == original.parameters.keys()
    assert all(torch.equal(value, result.parameters[name]) for name, value in original.parameters.items())
