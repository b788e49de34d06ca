import dataclasses

import pytest
import torch

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, LocalTraining, Schedule, Shard, batches, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import (
    GuidedRetraining,
    GuidedTraining,
    Place,
    Retraining,
    make_request,
    nearest_by_gradient,
)
from palimpsest.unlearning.guided_retraining import guided


def run(method, federation, original, request):
    schedule = Schedule(tuple(one.drawn for one in original.rounds))
    return method(original, request, federation, schedule=schedule, place=Place())


def test_a_step_uses_the_original_batch_with_replacements(data, lenet, config):
    federation = Federation(data, lenet, config(), 1)
    rows = data.clients[0]
    forgotten, retained = rows[:3], rows[3:]
    images, labels = data.train.images, data.train.labels
    model, reference = federation.network(), federation.network()
    pick = nearest_by_gradient(
        model, images[forgotten], labels[forgotten], images[retained], labels[retained]
    )
    settings = {"epochs": 2, "batch_size": 4, "learning_rate": 0.1}
    work = GuidedTraining(forgotten=tuple(forgotten.tolist()), **settings)
    work(model, Shard(images, labels, rows), seed=5)
    replaced = dict(zip(forgotten.tolist(), retained[pick].tolist(), strict=True))

    class Reference(LocalTraining):
        def epoch(self, rows, *, seed):
            for batch in batches(rows, 4, seed=seed):
                yield torch.tensor([replaced.get(row, row) for row in batch.tolist()])

    Reference(**settings)(reference, Shard(images, labels, rows), seed=5)
    for one, other in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.equal(one, other)


def test_uses_no_forgotten_sample_in_a_step(data, lenet, config):
    """Forgotten samples choose the batches, but are in none of them."""
    federation = Federation(data, lenet, config(rounds=2), 1)
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    _, work = guided(request, federation)
    seen = []

    class Watched(GuidedTraining):
        def epoch(self, rows, *, seed):
            for batch in super().epoch(rows, seed=seed):
                seen.extend(batch.tolist())
                yield batch

    model = federation.network()
    Watched(**work.model_dump())(model, Shard(data.train.images, data.train.labels, data.clients[1]), seed=1)
    assert len(seen) == len(data.clients[1])
    assert not set(seen) & set(request.rows.tolist())
    assert set(request.rows.tolist()) & set(data.clients[1].tolist())


def test_differs_from_retraining_only_where_samples_are_forgotten(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=2), 1)
    original = train(federation)
    some = make_request(UnlearningConfig(count=12), data, seed=1)
    leaving = make_request(UnlearningConfig(scenario="client"), data, seed=1)
    for request, equal in ((some, False), (leaving, True)):
        one, two = (
            run(method, federation, original, request) for method in (GuidedRetraining(), Retraining())
        )
        same = all(torch.equal(value, two.parameters[name]) for name, value in one.parameters.items())
        assert same == equal


def test_with_dp_sgd_it_is_plain_retraining(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=1, dp_noise_multiplier=1.0), 1)
    request = make_request(UnlearningConfig(count=12), data, seed=1)
    rows, work = guided(request, federation)
    assert type(work) is LocalTraining
    assert all(torch.equal(one, two) for one, two in zip(rows, request.retained, strict=True))


@pytest.mark.parametrize("count", [1, 2])
def test_a_client_without_forgotten_samples_trains_as_usual(data, lenet, config, count):
    federation = Federation(data, lenet, config(), 1)
    shard = Shard(data.train.images, data.train.labels, data.clients[0])
    work = GuidedTraining(
        forgotten=tuple(data.clients[1][:count].tolist()), epochs=1, batch_size=4, learning_rate=0.1
    )
    plain = LocalTraining(epochs=1, batch_size=4, learning_rate=0.1)
    one = load_parameters(federation.network(), dict(federation.network().state_dict()))
    two = federation.network()
    assert dataclasses.astuple(work(one, shard, seed=1)) == dataclasses.astuple(plain(two, shard, seed=1))
