"""Unlearning with every combination of scenario, method and aggregation."""

import dataclasses
import itertools

import pytest
import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, draw_schedule, parameter_distance, predict, rounds, train
from palimpsest.models import build_model, load_parameters
from palimpsest.unlearning import Unlearning, make_request, unlearn

SCENARIOS = {
    "sample": {"count": 12},
    "class": {"scenario": "class", "classes": (1,)},
    "client": {"scenario": "client"},
}
METHODS = ["retrain", "ascent", "federaser", "rapid"]
AGGREGATIONS = ["fedavg", "fedprox", "fedadam", "fedyogi", "fedadagrad"]
# They share the parts that depend on the aggregation with the methods above.
SIMILAR = [
    "fedrecovery",
    "forged-retraining",
    "guided-retraining",
    "last-layer",
    "overfit-retained",
    "pga",
    "puf",
]
CELLS = [
    *itertools.product(SCENARIOS, METHODS, AGGREGATIONS),
    *itertools.product(SCENARIOS, SIMILAR, ["fedadam"]),
    ("class", "class-pruning", "fedadam"),
]
READS_FORGOTTEN = {"ascent", "class-pruning", "forged-retraining", "guided-retraining", "pga", "puf"}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def trained(data, lenet, config, tmp_path_factory):
    """Return trained models with their histories, one for each aggregation and set of guaranteed clients."""
    cache = {}

    def get(aggregation, ensure):
        key = aggregation, ensure
        if key not in cache:
            history = tmp_path_factory.mktemp("history")
            settings = config(aggregation=aggregation, rounds=4)
            original = train(Federation(data, lenet, settings, 1), ensure=ensure, history=history)
            cache[key] = settings, original, history
        return cache[key]

    return get


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_every_combination(trained, data, lenet, cell):
    scenario, method, aggregation = cell
    unlearning = UnlearningConfig(**SCENARIOS[scenario], method=method)
    request = make_request(unlearning, data, seed=1)
    settings, original, history = trained(aggregation, request.clients)

    def forget(data):
        return unlearn(
            original,
            Federation(data, lenet, settings, 1),
            make_request(unlearning, data, seed=1),
            unlearning,
            history=history,
        )

    result = forget(data)
    assert all(value.isfinite().all() for value in result.parameters.values())
    assert not same(result.parameters, original.parameters)
    assert torch.equal(result.forgotten, request.rows)
    assert torch.equal(result.owner, request.owner)
    assert all(result.participation[client] >= 1 for client in request.clients)
    assert same(forget(data).parameters, result.parameters)

    labels = data.train.labels
    if scenario == "class":
        assert set(labels[result.forgotten].tolist()) == {1}
        assert 1 not in labels[request.retained_rows].tolist()
    if method == "ascent":
        assert 0 < result.facts["distance_before_fine_tuning"] <= 1 + 1e-5
    first = {"ascent": 1, "puf": 1, "pga": 2}.get(method, 0)
    if method not in READS_FORGOTTEN:
        # These methods never use the forgotten samples, so NaN in them must not change the result.
        images = data.train.images.clone()
        poisoned = dataclasses.replace(data, train=data.train.subset(torch.arange(len(data.train))))
        poisoned.train.images[request.rows] = float("nan")
        assert same(forget(poisoned).parameters, result.parameters)
        assert torch.equal(data.train.images, images)
    if scenario == "client":
        assert all(2 not in one.used for one in result.rounds[first:])
    if method == "retrain":
        direct = train(Federation(data, lenet, settings, 1), clients=request.retained, ensure=request.clients)
        assert same(direct.parameters, result.parameters)


def network(data, lenet, parameters):
    model = build_model(lenet, shape=data.train.shape, classes=3, seed=1)
    return load_parameters(model, parameters)


def test_ascent_at_client_level_asks_the_leaving_client_only_once(trained, data, lenet):
    settings, original, _ = trained("fedavg", (2,))
    unlearning = UnlearningConfig(scenario="client", method="ascent", fine_tune_rounds=4)
    result = unlearn(
        original, Federation(data, lenet, settings, 1), make_request(unlearning, data, seed=1), unlearning
    )
    assert [2 in one.drawn for one in result.rounds] == [True, False, False, False, False]
    assert all(len(one.used) == 2 for one in result.rounds[1:])  # 60 % of the four that stay


def test_retraining_forgets_the_class(data, lenet, config):
    settings = config(rounds=10, local_epochs=3)
    original = train(Federation(data, lenet, settings, 1))
    unlearning = UnlearningConfig(scenario="class", classes=(1,))
    result = unlearn(
        original, Federation(data, lenet, settings, 1), make_request(unlearning, data, seed=1), unlearning
    )
    predicted = predict(network(data, lenet, result.parameters), data.test.images).argmax(1)
    assert 1 not in predicted.tolist()
    assert 1 in predict(network(data, lenet, original.parameters), data.test.images).argmax(1).tolist()


@pytest.mark.parametrize("method", ["retrain", "federaser", "rapid"])
def test_a_fresh_seed_changes_initialization_and_draws(trained, data, lenet, method):
    settings, original, history = trained("fedavg", (2,))

    def forget(**overrides):
        unlearning = UnlearningConfig(scenario="client", method=method, **overrides)
        return unlearn(
            original,
            Federation(data, lenet, settings, 1),
            make_request(unlearning, data, seed=1),
            unlearning,
            history=history,
        )

    plain, fresh = forget(), forget(fresh_seed=True)
    model = build_model(lenet, shape=data.train.shape, classes=3, seed=1)
    assert parameter_distance(plain.parameters, fresh.parameters, model) > 0.5
    if method == "retrain":
        assert [one.drawn for one in plain.rounds] == [one.drawn for one in original.rounds]
        assert [one.drawn for one in fresh.rounds] != [one.drawn for one in original.rounds]


def test_notes_clients_that_were_swapped_in_or_absent(data, lenet, config):
    settings = config(fraction=0.2, rounds=2)
    seed = next(
        seed
        for seed in range(99)
        if 2 not in {client for members in draw_schedule(5, 0.2, 2, seed=seed).rounds for client in members}
    )
    unlearning = UnlearningConfig(scenario="client")
    ensured = train(Federation(data, lenet, settings, seed), ensure=(2,))
    result = unlearn(
        ensured,
        Federation(data, lenet, settings, seed),
        make_request(unlearning, data, seed=seed),
        unlearning,
    )
    assert result.participation == {2: 1}
    assert "Client 2 was never drawn for training and was put into round" in result.notes[0]
    assert "1 of 2 unlearning rounds changed nothing" in result.notes[1]
    absent = train(Federation(data, lenet, settings, seed))
    result = unlearn(
        absent, Federation(data, lenet, settings, seed), make_request(unlearning, data, seed=seed), unlearning
    )
    assert result.participation == {2: 0}
    (note,) = result.notes
    assert note.startswith("Client 2 took part in no training round, so the original model never learned")
    assert same(result.parameters, absent.parameters)


@pytest.mark.parametrize("method", [*METHODS, "pga", "puf", "last-layer"])
def test_a_killed_run_resumes_with_the_same_bits(trained, data, lenet, method, tmp_path_factory):
    settings, original, history = trained("fedadam", (0, 1, 2, 3, 4))
    unlearning = UnlearningConfig(count=12, method=method)

    def forget(scratch=None):
        return unlearn(
            original,
            Federation(data, lenet, settings, 1),
            make_request(unlearning, data, seed=1),
            unlearning,
            scratch=scratch,
            history=history,
        )

    class Killed(BaseException):
        pass

    real, calls = rounds._next_round, []

    def next_round(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise Killed
        return real(*arguments)

    whole, scratch = forget(), tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "_next_round", next_round)
        with pytest.raises(Killed):
            forget(scratch)
        resumed = forget(scratch)
    assert same(whole.parameters, resumed.parameters)
    assert whole.rounds == resumed.rounds
    assert len(calls) == len(whole.rounds) + 1


def test_can_be_saved_and_loaded(trained, data, lenet, tmp_path):
    settings, original, _ = trained("fedavg", (2,))
    unlearning = UnlearningConfig(scenario="client", method="ascent")
    result = unlearn(
        original, Federation(data, lenet, settings, 1), make_request(unlearning, data, seed=1), unlearning
    )
    result.save(tmp_path / "unlearning.safetensors")
    back = Unlearning.load(tmp_path / "unlearning.safetensors")
    assert same(back.parameters, result.parameters)
    assert torch.equal(back.forgotten, result.forgotten)
    assert (back.participation, back.rounds, back.facts, back.notes) == (
        result.participation,
        result.rounds,
        result.facts,
        result.notes,
    )
