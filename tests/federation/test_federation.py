import pytest
import torch
import torch.nn.functional as F

from palimpsest.config import FederationConfig
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.errors import FederationError
from palimpsest.federation import Federation, History, accuracy, batches, draw_schedule, train
from palimpsest.models import build_model, load_parameters
from palimpsest.randomness import derive_seed


def network(data, model, parameters=None, seed=1):
    built = build_model(model, shape=data.train.shape, classes=data.train.classes, seed=seed)
    return load_parameters(built, parameters) if parameters else built


@pytest.mark.parametrize("architecture", ["lenet", "resnet"])
def test_equals_a_reference_implementation_of_fedavg(data, config, architecture, request):
    model = request.getfixturevalue(architecture)
    settings = config(rounds=2, local_epochs=2, momentum=0.5)
    result = train(Federation(data, model, settings, 1))
    current = network(data, model).state_dict()
    for index, members in enumerate(draw_schedule(5, 0.6, 2, seed=1).rounds):
        copies = []
        for client in members:
            local = network(data, model)
            local.load_state_dict(current)
            optimizer = torch.optim.SGD(local.parameters(), lr=0.1, momentum=0.5)
            seed = derive_seed(1, "federation", "client", client, index)
            for epoch in range(2):
                for batch in batches(data.clients[client], 8, seed=derive_seed(seed, "epoch", epoch)):
                    optimizer.zero_grad()
                    F.cross_entropy(local(data.train.images[batch]), data.train.labels[batch]).backward()
                    optimizer.step()
            copies.append((len(data.clients[client]), local.state_dict()))
        total = sum(samples for samples, _ in copies)
        current = {
            name: sum(samples / total * copy[name].double() for samples, copy in copies)
            .round(decimals=0 if not value.is_floating_point() else 12)
            .to(value.dtype)
            for name, value in current.items()
        }
    for name, value in current.items():
        # Convolutions round differently for another number of threads, and four epochs amplify that.
        torch.testing.assert_close(result.parameters[name], value, rtol=1e-5, atol=1e-5)


def test_training_reaches_high_accuracy(data, lenet, config):
    result = train(Federation(data, lenet, config(rounds=12, local_epochs=3), 1))
    assert accuracy(network(data, lenet, result.parameters), data.test) > 0.9
    assert result.rounds[-1].loss < result.rounds[0].loss


def test_a_seed_gives_the_same_bits_for_any_global_random_state(data, resnet, config, tmp_path):
    first = train(Federation(data, resnet, config(rounds=2), 8), scratch=tmp_path / "a")
    state = torch.manual_seed(99).get_state()
    second = train(Federation(data, resnet, config(rounds=2), 8), history=tmp_path / "b")
    other = train(Federation(data, resnet, config(rounds=2), 9))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, second.parameters[name]) for name, value in first.parameters.items())
    assert any(not torch.equal(value, other.parameters[name]) for name, value in first.parameters.items())
    assert first.rounds == second.rounds


def test_counts_and_guarantees_participation(data, lenet, config):
    seed = next(
        seed
        for seed in range(99)
        if 2 not in {client for members in draw_schedule(5, 0.2, 3, seed=seed).rounds for client in members}
    )
    plain = train(Federation(data, lenet, config(fraction=0.2), seed))
    assert plain.participation[2] == 0
    assert sum(plain.participation) == 3
    ensured = train(Federation(data, lenet, config(fraction=0.2), seed), ensure=(2,))
    assert ensured.participation[2] == 1
    (swap,) = ensured.swaps
    assert swap.client == 2
    assert plain.rounds[swap.round].drawn == (swap.replaced,)


def test_trains_on_the_given_rows(data, lenet, config):
    same = train(Federation(data, lenet, config(), 1), clients=list(data.clients))
    fewer = train(Federation(data, lenet, config(), 1), clients=[rows[1:] for rows in data.clients])
    plain = train(Federation(data, lenet, config(), 1))
    assert all(torch.equal(value, same.parameters[name]) for name, value in plain.parameters.items())
    assert any(not torch.equal(value, fewer.parameters[name]) for name, value in plain.parameters.items())


def test_history_stores_the_update_of_each_used_client(data, lenet, config, tmp_path):
    result = train(Federation(data, lenet, config(rounds=1), 1), history=tmp_path)
    start = network(data, lenet).state_dict()
    mean = History(tmp_path).mean_update(0, result.rounds[0].used)
    for name, value in mean.items():
        torch.testing.assert_close(start[name] + value, result.parameters[name], rtol=1e-5, atol=1e-6)


def test_rejects_inconsistent_settings(data, lenet, config):
    with pytest.raises(FederationError, match=r"split among 5 clients, but federation\.clients is 6"):
        train(Federation(data, lenet, config(clients=6), 1))
    with pytest.raises(FederationError, match=r"minimum_replies is 4, but a round has 3"):
        train(Federation(data, lenet, config(minimum_replies=4), 1))
    with pytest.raises(ValueError, match="'in-process' or 'flower-simulation'"):
        config(engine="telepathy")


def test_trains_with_ten_thousand_clients_of_five_samples(lenet):
    generator = torch.Generator().manual_seed(0)
    train_set = ImageSet(
        "noise", torch.rand(50_000, 1, 4, 4, generator=generator), torch.arange(50_000) % 2, 2
    )
    clients = torch.randperm(50_000, generator=generator).split(5)
    small = train_set.subset(torch.arange(10))
    data = FederatedData(train_set, clients, small, small, small, small, ())
    settings = FederationConfig(clients=10_000, fraction=0.02, rounds=2, batch_size=5)
    result = train(Federation(data, lenet, settings, 1), ensure=(9_999,))
    assert [len(one.used) for one in result.rounds] == [200, 200]
    assert sum(result.participation) == 400
    assert result.participation[9_999] >= 1


def test_a_seed_determines_the_initialization(data, resnet, config):
    one, other = (Federation(data, resnet, config(), 4).network().state_dict() for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
