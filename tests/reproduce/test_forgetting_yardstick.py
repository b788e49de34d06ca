"""The yardstick on a tiny federation: exact retraining passes, the original model does not."""

import pytest
import torch
from tests.support.forgetting import TINY

from palimpsest.datasets import load_data
from palimpsest.federation import Federation, Training
from palimpsest.reproduce.forgetting_settings import SETTINGS
from palimpsest.reproduce.forgetting_yardstick import (
    RETRAININGS,
    Readings,
    measure_yardstick,
    read_retrainings,
)
from palimpsest.system.device import pick_device
from palimpsest.unlearning import Request, make_request, read_model


@pytest.fixture(scope="module")
def federation() -> Federation:
    config = SETTINGS[0].config(TINY, seed=1)
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed)
    return Federation(data, config.model, config.federation, config.seed, pick_device("cpu"))


@pytest.fixture(scope="module")
def request_to_forget(federation: Federation) -> Request:
    return make_request(SETTINGS[0].config(TINY, seed=1).unlearning, federation.data, seed=1)


@pytest.fixture(scope="module")
def original(federation: Federation, request_to_forget: Request) -> Training:
    schedule = federation.schedule(ensure=request_to_forget.clients)
    return federation.run("train", federation.data.clients, schedule, start=federation.network())


def test_readings_are_those_of_single_models_and_survive_a_file(
    federation: Federation, request_to_forget: Request, original: Training, tmp_path
) -> None:
    readings = read_retrainings(original, federation, request_to_forget)
    readings.save(tmp_path / "readings")
    stored = Readings.load(tmp_path / "readings").models
    assert len(stored) == RETRAININGS
    assert all(not torch.equal(stored[0].parameters, one.parameters) for one in stored[1:])
    direct = read_model(original.parameters, federation, request_to_forget)
    assert stored[0].losses.shape == direct.losses.shape
    assert isinstance(stored[0].test_accuracy, float)


def test_a_model_is_compared_with_every_retraining_and_relearns(
    federation: Federation, request_to_forget: Request, original: Training
) -> None:
    readings = read_retrainings(original, federation, request_to_forget).models
    retrained = federation.run(
        "retrain", request_to_forget.retained, federation.schedule(), start=federation.network()
    )
    measured = measure_yardstick(
        original.parameters, retrained.parameters, original, readings, federation, request_to_forget
    )
    assert measured.comparison.models == RETRAININGS
    # The original already has its own loss on the forgotten samples.
    assert measured.relearn.unlearned == 0
    assert measured.relearn.retrained is None or measured.relearn.retrained >= 0
