import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector

from palimpsest.config import UnlearningConfig
from palimpsest.federation import Federation, Schedule, accuracy, predict, train
from palimpsest.models import load_parameters
from palimpsest.unlearning import (
    Place,
    ProjectedGradientAscent,
    make_request,
    random_distance,
    reference_model,
)


@pytest.fixture(scope="module")
def trained(data, lenet, config):
    federation = Federation(data, lenet, config(rounds=8, local_epochs=3), 1)
    return federation, train(federation)


def run(method, trained, request):
    federation, original = trained
    return method(original, request, federation, schedule=Schedule(()), place=Place())


def vector(parameters):
    return torch.cat([value.flatten().double() for value in parameters.values()])


def test_the_reference_is_the_mean_of_the_other_clients():
    generator = torch.Generator().manual_seed(3)
    models = [torch.randn(4, generator=generator) for _ in range(5)]
    whole = {"weight": torch.stack(models).mean(0), "buffer": torch.tensor([7.0])}
    client = {"weight": models[2], "buffer": torch.tensor([9.0])}
    result = reference_model(whole, client, 1 / 5, ["weight"])
    others = torch.stack([model for index, model in enumerate(models) if index != 2])
    torch.testing.assert_close(result["weight"], others.mean(0))
    assert result["buffer"].tolist() == [7.0]


def test_the_first_step_ascends_from_the_reference(trained, data):
    federation, original = trained
    request = make_request(UnlearningConfig(count=10, clients=(1,)), data, seed=1)
    method = ProjectedGradientAscent(
        steps=1, learning_rate=0.2, clip=0.5, stop_accuracy=0.0, fine_tune_rounds=0
    )
    result = run(method, trained, request)
    local = federation.run(
        "reference",
        request.forgotten_by_client,
        Schedule((request.clients,)),
        start=load_parameters(federation.network(), original.parameters),
    )
    share = 10 / 75
    model = federation.network()
    load_parameters(
        model,
        {
            name: (value - share * local.parameters[name]) / (1 - share)
            for name, value in original.parameters.items()
        },
    )
    F.cross_entropy(model(data.train.images[request.rows]), data.train.labels[request.rows]).backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    step = 0.2 * gradient * min(1, 0.5 / gradient.norm())
    expected = parameters_to_vector(model.parameters()) + step
    torch.testing.assert_close(vector(result.parameters).float(), expected.detach(), rtol=1e-3, atol=1e-5)


def test_stays_in_the_ball_around_the_reference(trained, data):
    federation, original = trained
    request = make_request(UnlearningConfig(count=10, clients=(1,)), data, seed=1)
    still = ProjectedGradientAscent(steps=1, learning_rate=1e-12, fine_tune_rounds=0)
    reference = run(still, trained, request).parameters
    method = ProjectedGradientAscent(
        steps=9, learning_rate=5.0, radius_share=0.1, stop_accuracy=0.0, fine_tune_rounds=0
    )
    result = run(method, trained, request)
    distance = (vector(result.parameters) - vector(reference)).norm().item()
    assert distance == pytest.approx(result.facts["radius"], rel=1e-3)
    assert result.facts["radius"] == pytest.approx(0.1 * random_distance(reference, federation))
    assert original.rounds != result.rounds


def test_stops_early_at_the_accuracy(trained, data):
    federation, _ = trained
    request = make_request(UnlearningConfig(count=20, clients=(1, 3)), data, seed=1)
    forgotten = data.train.subset(request.rows)

    def after(**settings):
        method = ProjectedGradientAscent(steps=60, learning_rate=0.05, fine_tune_rounds=0, **settings)
        result = run(method, trained, request)
        model = load_parameters(federation.network(), result.parameters)
        loss = F.cross_entropy(predict(model, forgotten.images), forgotten.labels).item()
        return accuracy(model, forgotten), loss

    unstopped, stopped = after(stop_accuracy=0.0, radius_share=9.0), after(stop_accuracy=0.6)
    assert unstopped[0] < stopped[0] < 1
    assert stopped[1] < unstopped[1]


def test_random_models_have_different_distances_but_the_same_mean(trained, data, lenet, config):
    federation, original = trained
    first = random_distance(original.parameters, federation)
    assert first == random_distance(original.parameters, federation)
    other = Federation(data, lenet, config(), 2)
    assert 0 < abs(first - random_distance(original.parameters, other)) < 0.2 * first
