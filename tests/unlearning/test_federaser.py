import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.config import UnlearningConfig
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, Schedule, train
from palimpsest.unlearning import FedEraser, Place, Request, calibrated, make_request


@pytest.fixture(scope="module")
def trained(data, lenet, config, tmp_path_factory):
    history = tmp_path_factory.mktemp("history")
    settings = config(rounds=4, local_epochs=2)
    federation = Federation(data, lenet, settings, 1)
    return federation, train(Federation(data, lenet, settings, 1), history=history), history


def run(method, trained, request):
    federation, original, history = trained
    schedule = Schedule(tuple(one.drawn for one in original.rounds))
    return method(original, request, federation, schedule=schedule, place=Place(history=history))


@given(st.integers(0, 2**31))
def test_calibration_keeps_the_new_direction_and_the_old_norm(seed):
    new, old = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(seed)).double()
    result = calibrated(new, old)
    assert result.norm() == pytest.approx(old.norm().item())
    assert F.cosine_similarity(result.flatten(), new.flatten(), dim=0) == pytest.approx(1)


def test_calibration_handles_zero_updates():
    zero = torch.zeros(3)
    assert torch.equal(calibrated(zero, zero), zero)
    assert torch.equal(calibrated(zero, torch.ones(3)), zero)
    assert torch.equal(calibrated(torch.ones(3), zero), zero)


def test_full_calibration_has_the_directions_of_retraining(trained, data):
    """With interval 1 and all local epochs, each tensor's first update has the direction of retraining."""
    federation, original, _ = trained
    request = make_request(UnlearningConfig(scenario="client", clients=(1,)), data, seed=1)
    full = FedEraser(interval=1, calibration=1.0, fine_tune_rounds=0)
    first = type(original)(original.parameters, original.participation, original.rounds[:1], [])
    erased = run(full, (federation, first, trained[2]), request)
    retrained = federation.run("retrain", request.retained, Schedule((original.rounds[0].drawn,)))
    start = dict(federation.network().named_parameters())
    assert erased.rounds[0].used == retrained.rounds[0].used
    for name, value in start.items():
        one = (erased.parameters[name] - value).flatten()
        other = (retrained.parameters[name] - value).flatten()
        assert F.cosine_similarity(one.double(), other.double(), dim=0).item() == pytest.approx(1, abs=1e-5)


def test_full_calibration_without_forgotten_samples_gives_the_original(trained, data):
    _, original, _ = trained
    result = run(
        FedEraser(interval=1, calibration=1.0, fine_tune_rounds=0), trained, Request({}, data.clients)
    )
    for name, value in original.parameters.items():
        torch.testing.assert_close(result.parameters[name], value, rtol=1e-3, atol=1e-4)


def test_equals_a_reference_implementation(trained, data):
    federation, original, history = trained
    request = make_request(UnlearningConfig(scenario="client", clients=(3,)), data, seed=1)
    result = run(FedEraser(interval=2, calibration=0.5, fine_tune_rounds=0), trained, request)
    work = federation.local_training().model_copy(update={"epochs": 1})
    current = federation.network()
    for place, index in enumerate((0, 2)):
        clients = [client for client in original.rounds[index].used if client != 3]
        start = {name: value.detach().clone() for name, value in current.named_parameters()}
        schedule = Schedule(((),) * place + (tuple(clients),))
        trained_new = federation.run("oracle", request.retained, schedule, start=current, work=work)
        new = {name: trained_new.parameters[name] - value for name, value in start.items()}
        old_updates = [
            load_change(history / f"round-{index:04d}" / f"client-{client:06d}.safetensors")
            for client in clients
        ]
        weights = torch.tensor([float(len(data.clients[client])) for client in clients])
        weights /= weights.sum()
        with torch.no_grad():
            for name, parameter in current.named_parameters():
                old = sum(weight * update[name] for weight, update in zip(weights, old_updates, strict=True))
                parameter.copy_(start[name] + old.norm() * new[name] / new[name].norm())
    for name, value in current.named_parameters():
        torch.testing.assert_close(result.parameters[name], value.detach(), rtol=1e-3, atol=1e-5)


def load_change(path):
    from palimpsest.federation import Update

    return Update.load(path).change


def test_rejects_training_without_history(trained, data):
    federation, original, _ = trained
    request = make_request(UnlearningConfig(scenario="client"), data, seed=1)
    with pytest.raises(UnlearningError, match="Train with a history folder first"):
        FedEraser(fine_tune_rounds=0)(original, request, federation, schedule=Schedule(()), place=Place())


def test_names_a_missing_update(trained, data, tmp_path):
    federation, original, _ = trained
    request = make_request(UnlearningConfig(scenario="client"), data, seed=1)
    with pytest.raises(UnlearningError, match="in round 0 is not in"):
        FedEraser(fine_tune_rounds=0)(
            original, request, federation, schedule=Schedule(()), place=Place(history=tmp_path)
        )
