from itertools import pairwise

import pytest
import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, History, Reply, Round, Schedule, train
from palimpsest.unlearning import FedRecovery, Place, Request, make_request, replay, residual


@pytest.fixture(scope="module")
def trained(data, lenet, config, tmp_path_factory):
    history = tmp_path_factory.mktemp("history")
    federation = Federation(data, lenet, config(rounds=4), 1)
    return federation, train(federation, history=history), history


def run(method, trained, request):
    federation, original, history = trained
    return method(original, request, federation, schedule=Schedule(()), place=Place(history=history))


def test_the_residual_equals_the_papers_equation(tmp_path):
    """With N equal clients, the residual is (u - d) / (N - 1)."""
    updates = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    history, zero = History(tmp_path), {"weight": torch.zeros(3, dtype=torch.float64)}
    for client, update in enumerate(updates):
        history.add(0, Reply(client, 10, {"weight": update}, 0.0), zero)
    change, finished = {"weight": updates.mean(0)}, Round((0, 1, 2, 3), (0, 1, 2, 3), {}, 1, 0.0)
    whole = residual(change, finished, history, 0, {2: 1.0})["weight"]
    torch.testing.assert_close(whole, (updates[2] - updates.mean(0)) / 3)
    torch.testing.assert_close(whole, updates.mean(0) - updates[[0, 1, 3]].mean(0))
    # Half of a client's samples count as a client of half its weight.
    half = residual(change, finished, history, 0, {2: 0.5})["weight"]
    torch.testing.assert_close(half, (0.5 * updates[2] - 0.5 * updates.mean(0)) / 3.5)
    # The whole update goes if no other client took part, and no part of it if no client left.
    alone = residual({"weight": updates[2]}, Round((2,), (2,), {}, 1, 0.0), history, 0, {2: 1.0})
    torch.testing.assert_close(alone["weight"], updates[2])
    assert residual(change, finished, history, 0, {9: 1.0})["weight"].abs().max() == 0


def test_equals_a_reference_implementation(trained, data):
    federation, original, folder = trained
    request = make_request(UnlearningConfig(scenario="client", clients=(3,)), data, seed=1)
    result = run(FedRecovery(noise=0.0), trained, request)
    models = list(replay(original, federation, History(folder)))
    for name in original.parameters:
        changes = [(new[name] - old[name]).double() for old, new in pairwise(models)]
        squares = [
            sum((new[key] - old[key]).double().square().sum() for key in old) for old, new in pairwise(models)
        ]
        expected = original.parameters[name].double()
        for index in range(1, len(changes)):
            others = [client for client in original.rounds[index].used if client != 3]
            rest = History(folder).mean_update(index, others)[name].double()
            expected = expected - squares[index] / sum(squares[:index]) * (changes[index] - rest)
        torch.testing.assert_close(result.parameters[name].double(), expected, rtol=1e-4, atol=1e-5)
    assert result.rounds == []


def test_noise_has_the_stated_deviation(trained, data):
    request = make_request(UnlearningConfig(scenario="client", clients=(3,)), data, seed=1)
    plain, noisy = (run(FedRecovery(noise=noise), trained, request) for noise in (0.0, 0.5))
    difference = torch.cat(
        [(noisy.parameters[name] - value).flatten() for name, value in plain.parameters.items()]
    )
    assert difference.std().item() == pytest.approx(0.5, rel=0.05)
    again = run(FedRecovery(noise=0.5), trained, request)
    assert all(torch.equal(value, again.parameters[name]) for name, value in noisy.parameters.items())


def test_without_unlearning_clients_nothing_changes(trained, data):
    _, original, _ = trained
    result = run(FedRecovery(noise=0.0), trained, Request({}, data.clients))
    assert all(torch.equal(value, result.parameters[name]) for name, value in original.parameters.items())


def test_fine_tunes_on_request(trained, data):
    request = make_request(UnlearningConfig(scenario="client", clients=(3,)), data, seed=1)
    assert len(run(FedRecovery(fine_tune_rounds=2), trained, request).rounds) == 2
