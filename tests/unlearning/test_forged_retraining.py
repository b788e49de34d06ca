import pytest
import torch

from palimpsest.config import UnlearningConfig
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, History, Schedule, parameter_distance, train
from palimpsest.unlearning import ForgedRetraining, Place, Request, make_request, replay


@pytest.fixture(scope="module")
def trained(data, lenet, config, tmp_path_factory):
    history = tmp_path_factory.mktemp("history")
    federation = Federation(data, lenet, config(rounds=5), 1)
    return federation, train(federation, history=history), history


def run(method, trained, request):
    federation, original, history = trained
    return method(original, request, federation, schedule=Schedule(()), place=Place(history=history))


def test_an_honest_record_is_reproduced(trained, data):
    """If nothing is forgotten, the forged rounds are those of training."""
    federation, original, _ = trained
    result = run(
        ForgedRetraining(checked_rounds=2),
        trained,
        Request({0: torch.empty(0, dtype=torch.int64)}, data.clients),
    )
    assert result.facts["largest_reproduction_error"] < 1e-4
    assert parameter_distance(result.parameters, original.parameters, federation.network()) < 1e-4
    assert [one.drawn for one in result.rounds] == [original.rounds[-1].drawn]


def test_runs_only_the_last_round(trained, data):
    federation, original, folder = trained
    request = make_request(UnlearningConfig(count=6), data, seed=1)
    result = run(ForgedRetraining(), trained, request)
    before = list(replay(original, federation, History(folder)))[-2]
    network = federation.network()
    moved = parameter_distance(result.parameters, before, network)
    assert 0 < moved < 0.5 * parameter_distance(before, dict(federation.network().state_dict()), network)
    assert 0 < result.facts["largest_reproduction_error"] < 1
    assert run(ForgedRetraining(checked_rounds=0), trained, request).facts == {}


def test_a_training_without_rounds_is_refused(trained, data):
    federation, original, folder = trained
    request = make_request(UnlearningConfig(count=6), data, seed=1)
    empty = type(original)(original.parameters, original.participation, [], [])
    with pytest.raises(UnlearningError, match="has no rounds"):
        run(ForgedRetraining(), (federation, empty, folder), request)


def test_one_round_is_enough(trained, data):
    federation, original, folder = trained
    request = make_request(UnlearningConfig(count=6), data, seed=1)
    short = type(original)(original.parameters, original.participation, original.rounds[:1], [])
    assert len(run(ForgedRetraining(), (federation, short, folder), request).rounds) == 1
