import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from palimpsest.federation import LocalTraining, Payload, Shard, answer, batches, snapshot
from palimpsest.randomness import derive_seed


def network():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


@pytest.fixture
def shard(data):
    return Shard(data.train.images, data.train.labels, data.clients[3])


@settings(deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=2, max_size=60), st.integers(1, 70), st.integers(0, 2**63 - 1))
def test_batches_contain_every_row_once(rows, size, seed):
    rows = torch.tensor(sorted(rows))
    parts = list(batches(rows, size, seed=seed))
    assert sorted(torch.cat(parts).tolist()) == rows.tolist()
    assert all(len(part) == size for part in parts[:-1])


@settings(deadline=None)
@given(st.sets(st.integers(0, 10**6), min_size=2, max_size=60), st.integers(0, 2**63 - 1), st.data())
def test_removing_rows_keeps_the_order_of_the_others(rows, seed, draw):
    removed = draw.draw(st.sets(st.sampled_from(sorted(rows)), max_size=len(rows) - 1))
    every = torch.cat(list(batches(torch.tensor(sorted(rows)), 7, seed=seed))).tolist()
    rest = torch.cat(list(batches(torch.tensor(sorted(rows - removed)), 7, seed=seed))).tolist()
    assert rest == [row for row in every if row not in removed]


def test_orders_are_uniformly_distributed():
    places = torch.zeros(8, 8)
    for seed in range(800):
        order = torch.cat(list(batches(torch.arange(8), 3, seed=derive_seed(seed)))).tolist()
        for place, row in enumerate(order):
            places[row, place] += 1
    assert places.min() > 60
    assert places.max() < 145


def test_local_training_equals_sgd(shard):
    work = LocalTraining(epochs=2, batch_size=8, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    trained, reference = network(), network()
    outcome = work(trained, shard, seed=4)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    losses = []
    for epoch in range(2):
        for batch in batches(shard.rows, 8, seed=derive_seed(4, "epoch", epoch)):
            loss = F.cross_entropy(reference(shard.images[batch]), shard.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    for name, value in reference.state_dict().items():
        assert torch.equal(trained.state_dict()[name], value), name
    assert outcome.steps == len(losses)
    assert outcome.loss == pytest.approx(sum(losses) / len(losses))


@settings(max_examples=10, deadline=None)
@given(st.floats(0.01, 2))
def test_proximal_term_is_half_mu_times_the_squared_distance(mu):
    images = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    shard = Shard(images, torch.arange(16) % 3, torch.arange(16))
    model, reference = network(), network()
    LocalTraining(epochs=2, batch_size=8, learning_rate=0.1, proximal_mu=mu)(model, shard, seed=0)
    anchors = [parameter.detach().clone() for parameter in reference.parameters()]
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1)
    for epoch in range(2):
        for batch in batches(shard.rows, 8, seed=derive_seed(0, "epoch", epoch)):
            loss = F.cross_entropy(reference(shard.images[batch]), shard.labels[batch])
            pairs = zip(reference.parameters(), anchors, strict=True)
            loss = loss + mu / 2 * sum((one - other).square().sum() for one, other in pairs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-4, atol=1e-6)


def test_training_stops_at_the_first_loss_that_is_not_finite(shard):
    outcome = LocalTraining(epochs=9, batch_size=6, learning_rate=1e30)(network(), shard, seed=0)
    assert math.isnan(outcome.loss)
    assert outcome.steps <= 3


def test_answer_does_not_depend_on_the_models_previous_parameters(shard):
    model, start = network(), network()
    payload = Payload(2, 7, LocalTraining(epochs=1, batch_size=8, learning_rate=0.1), snapshot(start))
    first = answer(model, 3, shard, payload)
    second = answer(model, 3, shard, payload)
    assert first.samples == 18
    for name, value in first.parameters.items():
        assert torch.equal(value, second.parameters[name])
    assert not torch.equal(first.parameters["1.weight"], payload.parameters["1.weight"])


def test_shuffles_differ_between_rounds_and_clients(shard):
    work = LocalTraining(epochs=1, batch_size=5, learning_rate=0.1)
    start = snapshot(network())
    replies = [
        answer(network(), client, shard, Payload(index, 7, work, start)).parameters["1.weight"]
        for client, index in ((0, 0), (0, 1), (1, 0))
    ]
    assert not torch.equal(replies[0], replies[1])
    assert not torch.equal(replies[0], replies[2])


def test_a_client_without_rows_sends_no_parameters(shard):
    work = LocalTraining(epochs=1, batch_size=5, learning_rate=0.1)
    nothing = Shard(shard.images, shard.labels, torch.empty(0, dtype=torch.int64))
    reply = answer(network(), 0, nothing, Payload(0, 7, work, snapshot(network())))
    assert (reply.samples, reply.parameters) == (0, {})


def test_dropout_follows_the_seed_and_leaves_the_global_random_state_alone(shard):
    work = LocalTraining(epochs=1, batch_size=5, learning_rate=0.1)

    def trained(seed):
        model = network()
        model.insert(1, nn.Dropout(0.5))
        before = torch.get_rng_state()
        work(model, shard, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        return model.state_dict()["2.weight"]

    first = trained(3)
    assert torch.equal(trained(3), first)
    assert not torch.equal(trained(4), first)
