import pytest
import torch

from palimpsest.errors import FederationError
from palimpsest.federation import Federation, InProcess, LocalTraining, Payload, connect, snapshot


@pytest.fixture
def payload(data, lenet, config):
    network = Federation(data, lenet, config(), 1).network()
    return Payload(0, 1, LocalTraining(epochs=1, batch_size=8, learning_rate=0.1), snapshot(network))


def test_replies_do_not_depend_on_who_was_asked_before(data, lenet, config, payload):
    network = Federation(data, lenet, config(), 1).network()
    backend = InProcess(network, data.train, data.clients, device="cpu")
    together = list(backend.send([1, 3, 4], payload))
    assert [reply.client for reply in together] == [1, 3, 4]
    assert [reply.samples for reply in together] == [15, 18, 20]
    (alone,) = backend.send([3], payload)
    for name, value in together[1].parameters.items():
        assert torch.equal(value, alone.parameters[name])


def test_a_client_trains_only_when_its_turn_comes(data, lenet, config, payload):
    network = Federation(data, lenet, config(), 1).network()
    replies = InProcess(network, data.train, data.clients, device="cpu").send([0, 99], payload)
    assert next(replies).client == 0
    with pytest.raises(IndexError):
        next(replies)


def test_an_unknown_engine_is_refused(data, lenet, config):
    network = Federation(data, lenet, config(), 1).network()
    asked = connect("carrier-pigeon", network, data.train, data.clients, device="cpu")
    with pytest.raises(FederationError, match="no engine 'carrier-pigeon'"), asked:
        pass
