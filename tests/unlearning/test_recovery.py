import dataclasses

import pytest
import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, LocalTraining, train
from palimpsest.unlearning import Place, Unlearned, make_request, recover, then_recover


@pytest.fixture(scope="module")
def trained(data, lenet, config):
    federation = Federation(data, lenet, config(), 1)
    return federation, train(federation)


def test_draws_only_clients_that_retain_samples(trained, data):
    federation, original = trained
    request = make_request(UnlearningConfig(scenario="client"), data, seed=1)
    result = recover(original.parameters, request, federation, Place(), rounds=5)
    assert len(result.rounds) == 5
    assert all(2 not in one.drawn and one.used == one.drawn for one in result.rounds)


def test_uses_no_forgotten_sample(trained, data):
    federation, original = trained
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    poisoned = dataclasses.replace(data, train=data.train.subset(torch.arange(75)))
    poisoned.train.images[request.rows] = float("nan")
    clean = recover(original.parameters, request, federation, Place(), rounds=2)
    dirty = recover(
        original.parameters, request, dataclasses.replace(federation, data=poisoned), Place(), rounds=2
    )
    assert all(torch.equal(value, dirty.parameters[name]) for name, value in clean.parameters.items())


def test_a_work_of_zero_steps_changes_nothing(trained, data):
    federation, original = trained
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    still = LocalTraining(epochs=1, batch_size=8, learning_rate=0.0)
    result = recover(original.parameters, request, federation, Place(), rounds=2, work=still)
    assert all(torch.equal(value, result.parameters[name]) for name, value in original.parameters.items())


def test_recovery_is_added_to_the_result_of_a_method(trained, data):
    federation, original = trained
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    before = Unlearned(original.parameters, list(original.rounds[:1]), {"radius": 2.0})
    assert then_recover(before, request, federation, Place(), rounds=0) is before
    after = then_recover(before, request, federation, Place(), rounds=2)
    alone = recover(original.parameters, request, federation, Place(), rounds=2)
    assert [one.drawn for one in after.rounds] == [one.drawn for one in (*before.rounds, *alone.rounds)]
    assert after.facts == before.facts
    assert all(torch.equal(value, after.parameters[name]) for name, value in alone.parameters.items())
