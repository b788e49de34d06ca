import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Schedule, accuracy, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import OverfitRetained, Place, make_request, recover


def test_continues_from_the_original_on_retained_samples(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=2, local_epochs=3), 1)
    original = train(federation)
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    method = OverfitRetained(rounds=6)
    result = method(original, request, federation, schedule=Schedule(()), place=Place())
    direct = recover(original.parameters, request, federation, Place(), rounds=6)
    assert len(result.rounds) == 6
    assert all(torch.equal(value, result.parameters[name]) for name, value in direct.parameters.items())
    retained = data.train.subset(request.retained_rows)
    network = federation.network()
    before = accuracy(load_parameters(network, original.parameters), retained)
    assert accuracy(load_parameters(network, result.parameters), retained) > before
