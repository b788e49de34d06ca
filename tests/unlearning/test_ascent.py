import dataclasses
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.config import UnlearningConfig
from palimpsest.errors import FederationError
from palimpsest.federation import Federation, Schedule, Shard, parameter_distance, predict, train
from palimpsest.federation import federation as federation_module
from palimpsest.models import load_parameters
from palimpsest.unlearning import Ascent, GradientAscent, Place, make_request, project, recover


@pytest.fixture(scope="module")
def trained(data, lenet, config):
    settings = config(rounds=8, local_epochs=3)
    federation = Federation(data, lenet, settings, 1)
    return federation, train(Federation(data, lenet, settings, 1))


@pytest.fixture(scope="module")
def request_(data):
    return make_request(UnlearningConfig(count=20, clients=(1, 3)), data, seed=1)


def run(method, trained, request_, place=None):
    federation, original = trained
    return method(original, request_, federation, schedule=Schedule(()), place=place or Place())


@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_projects_onto_the_ball(seed, radius):
    point, center = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed)).double()
    result = project(point, center, radius)
    assert (result - center).norm() <= radius * (1 + 1e-12)
    if (point - center).norm() <= radius:
        assert torch.equal(result, point)
    else:
        cosine = F.cosine_similarity(result - center, point - center, dim=0)
        assert cosine == pytest.approx(1)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_one_step_equals_the_papers_equation(trained, data, batch_size):
    federation, original = trained
    model = load_parameters(federation.network(), original.parameters)
    reference = load_parameters(federation.network(), original.parameters)
    shard = Shard(data.train.images, data.train.labels, data.clients[0])
    GradientAscent(steps=1, learning_rate=0.3, radius=9.0, batch_size=batch_size)(model, shard, seed=0)
    images, labels = data.train.images[shard.rows], data.train.labels[shard.rows]
    F.cross_entropy(reference(images), labels).backward()
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected + 0.3 * expected.grad, rtol=1e-4, atol=1e-6)


def test_the_server_averages_by_forgotten_samples(trained, request_, data):
    """Check Eq. 2."""
    federation, original = trained
    result = run(Ascent(fine_tune_rounds=0, learning_rate=0.5), trained, request_)
    expected = {
        name: torch.zeros_like(value, dtype=torch.float64) for name, value in original.parameters.items()
    }
    for client, rows in request_.forgotten.items():
        model = load_parameters(federation.network(), original.parameters)
        F.cross_entropy(model(data.train.images[rows]), data.train.labels[rows]).backward()
        for name, parameter in model.named_parameters():
            expected[name] += len(rows) / 20 * (parameter + 0.5 * parameter.grad).detach().double()
        assert client in (1, 3)
    for name, value in expected.items():
        torch.testing.assert_close(result.parameters[name].double(), value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("radius", [0.01, 0.3])
@pytest.mark.parametrize("steps", [1, 4])
def test_stays_within_the_radius(trained, request_, radius, steps):
    federation, original = trained
    method = Ascent(steps=steps, learning_rate=50.0, radius=radius, fine_tune_rounds=0)
    result = run(method, trained, request_)
    distance = parameter_distance(original.parameters, result.parameters, federation.network())
    assert 0 < distance <= radius * (1 + 1e-5)
    assert result.facts["distance_before_fine_tuning"] == pytest.approx(distance)


def test_the_loss_on_forgotten_samples_rises(trained, request_, data):
    federation, original = trained
    forgotten = data.train.subset(request_.rows)

    def loss(parameters):
        model = load_parameters(federation.network(), parameters)
        return F.cross_entropy(predict(model, forgotten.images), forgotten.labels)

    result = run(Ascent(steps=5, fine_tune_rounds=0), trained, request_)
    assert loss(result.parameters) > 2 * loss(original.parameters)


def test_does_not_change_batch_norm_statistics(data, resnet, config):
    settings = config(rounds=1, fraction=0.2)
    original = train(Federation(data, resnet, settings, 1))
    request = make_request(UnlearningConfig(count=6, clients=(1, 3)), data, seed=1)
    result = run(Ascent(fine_tune_rounds=0), (Federation(data, resnet, settings, 1), original), request)
    buffers = [name for name in original.parameters if "running" in name or "tracked" in name]
    assert buffers
    for name in buffers:
        assert torch.equal(original.parameters[name], result.parameters[name])


def test_fine_tuning_uses_retained_rows_only(trained, data, request_):
    federation, _ = trained
    poisoned = dataclasses.replace(data, train=data.train.subset(torch.arange(75)))
    ascended = run(Ascent(fine_tune_rounds=0), trained, request_)
    tuned = run(Ascent(fine_tune_rounds=2), trained, request_)
    assert len(tuned.rounds) == len(ascended.rounds) + 2
    # Only the ascent may use the forgotten samples, so fine-tuning must not be affected by NaN in them.
    poisoned.train.images[request_.rows] = float("nan")
    start = ascended.parameters
    clean = recover(start, request_, federation, Place(), rounds=2)
    dirty = recover(start, request_, dataclasses.replace(federation, data=poisoned), Place(), rounds=2)
    for name, value in clean.parameters.items():
        assert torch.equal(value, dirty.parameters[name])
        assert torch.equal(value, tuned.parameters[name])


def test_requires_a_reply_from_every_unlearning_client(trained, request_, monkeypatch):
    """Without a client's reply, its samples would count as forgotten although no ascent used them."""

    class Silent:
        def __init__(self, backend):
            self.backend = backend

        def send(self, clients, payload):
            return (reply for reply in self.backend.send(clients, payload) if reply.client != 3)

    connect = federation_module.connect

    @contextmanager
    def silenced(*args, **settings):
        with connect(*args, **settings) as backend:
            yield Silent(backend)

    monkeypatch.setattr(federation_module, "connect", silenced)
    with pytest.raises(
        FederationError, match=r"fewer than 2 usable replies from 2 clients .*client 3: no reply"
    ):
        run(Ascent(fine_tune_rounds=0), trained, request_)


def test_resumes_a_killed_run(trained, request_, tmp_path):
    whole = run(Ascent(), trained, request_)
    run(Ascent(fine_tune_rounds=1), trained, request_, Place(scratch=tmp_path))
    (tmp_path / "fine-tune" / "rounds.safetensors").unlink()
    resumed = run(Ascent(), trained, request_, Place(scratch=tmp_path))
    assert all(torch.equal(value, resumed.parameters[name]) for name, value in whole.parameters.items())
