import dataclasses

import pytest
import torch
from torch import nn

from palimpsest.config import UnlearningConfig
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Schedule, accuracy, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import LastLayer, Place, last_linear, make_request, only_last_linear


def forget(data, model, settings, **changes):
    federation = Federation(data, model, settings, 1)
    original = train(federation)
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    method = LastLayer(rounds=3)
    run = dataclasses.replace(federation, **changes)
    return original, method(original, request, run, schedule=Schedule(()), place=Place())


@pytest.mark.parametrize("model", ["lenet", "resnet"])
@pytest.mark.parametrize("private", [False, True])
def test_changes_only_the_last_layer(request, data, config, model, private):
    if private and model == "resnet":
        pytest.skip("DP-SGD can't train batch normalization")
    architecture = request.getfixturevalue(model)
    settings = config(rounds=1, **({"dp_noise_multiplier": 1.0} if private else {}))
    original, result = forget(data, architecture, settings)
    name, _ = last_linear(Federation(data, architecture, settings, 1).network())
    changed = {
        key for key, value in original.parameters.items() if not torch.equal(value, result.parameters[key])
    }
    assert changed == {f"{name}.weight", f"{name}.bias"}
    assert bool(result.releases) == private


def test_the_last_layer_starts_anew_and_learns(data, lenet, config):
    settings = config(rounds=6, local_epochs=3)
    _, result = forget(data, lenet, settings)
    federation = Federation(data, lenet, settings, 1)
    assert accuracy(load_parameters(federation.network(), result.parameters), data.train) > 0.8
    other = make_request(UnlearningConfig(count=12), data, seed=1)
    untrained = LastLayer(rounds=1)
    # Only the initialization decides: an original with another last layer gives the same result.
    original = train(federation)
    scrambled = {
        key: torch.ones_like(value) if key.startswith(last_linear(federation.network())[0]) else value
        for key, value in original.parameters.items()
    }
    one, two = (
        untrained(
            dataclasses.replace(original, parameters=parameters),
            other,
            federation,
            schedule=Schedule(()),
            place=Place(),
        )
        for parameters in (original.parameters, scrambled)
    )
    assert all(torch.equal(value, two.parameters[key]) for key, value in one.parameters.items())


def test_restores_gradients_and_buffers():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    with only_last_linear(model):
        assert [one.requires_grad for one in model.parameters()] == [False] * 4 + [True] * 2
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    assert [one.requires_grad for one in model.parameters()] == [True, False] + [True] * 4
    assert model[1].running_mean.tolist() == [0.0] * 4


def test_refuses_a_model_without_a_linear_layer():
    with pytest.raises(UnlearningError, match="Sequential has no linear layer"):
        last_linear(nn.Sequential(nn.Conv2d(1, 2, 3)))
